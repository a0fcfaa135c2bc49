#pragma once

#include <popalign/base/config.hpp>

#include <map>
#include <string>
#include <vector>

namespace popalign {

/// One user message and how its answer is opened and read.
struct Turn {
    std::string user;              ///< `{instruction}` stands for the instruction
    std::string assistant_prefix;  ///< the answer's given beginning; not part of the response
    std::string parse = "plain";  ///< `plain`, or `thought_response`: keep what follows "Response:"

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("user", user, "the user's message", Presence::required);
        v.field("assistant_prefix", assistant_prefix, "given beginning of the answer");
        v.field("parse", parse, "plain or thought_response");
    }
    bool operator==(const Turn&) const = default;
    auto operator<=>(const Turn&) const = default;
};

/// How one of the two answers is made: by which model, in which turns. The last answer counts.
struct Side {
    std::string model;  ///< the key of the strategy's entry that names the model
    std::vector<Turn> turns;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("model", model, "model, chosen or rejected", Presence::required);
        v.field("turns", turns, "the dialogue", Presence::required);
    }
    bool operator==(const Side&) const = default;
};

struct Contrast {
    Side chosen, rejected;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("chosen", chosen, "the good answer", Presence::required);
        v.field("rejected", rejected, "the bad answer", Presence::required);
    }
};

/// A strategy as data (configs/strategies): a new one is a file, not code.
struct StrategyTemplate {
    std::string name, level, source;
    std::map<std::string, Contrast> variants;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("name", name, "what it is called", Presence::required);
        v.field("level", level, "prompt, model or pipeline", Presence::required);
        v.field("source", source, "where it is described");
        v.field("variants", variants, "wordings by name", Presence::required);
    }
    /// Throws UsageError, e.g. for a turn without a message.
    void validate() const;
};

/// A strategy that a run uses.
struct StrategyOptions {
    std::string name, variant = "alignment", model, chosen, rejected, file;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("name", name,
                "prefix, demonstration, elicitive, nparam, leaderboard, refine, or that of `file`",
                Presence::required);
        v.field("variant", variant, "alignment or leaderboard: the paper's two wordings");
        v.field("model", model, "the model of both answers (prompt and pipeline level)");
        v.field("chosen", chosen, "the better model (model level)");
        v.field("rejected", rejected, "the worse model (model level)");
        v.field("file", file, "template of a strategy of your own; empty: the built-in one");
    }
    /// The model that a side's `model` key names; throws UsageError if the entry does not give it.
    const std::string& model_for(const std::string& key) const;
};

/// From `options.file`, or built in. Throws UsageError for an unknown name, InputError for a bad
/// file.
StrategyTemplate load_strategy(const StrategyOptions& options);

}  // namespace popalign
