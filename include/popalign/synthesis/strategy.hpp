#pragma once

#include <popalign/base/config.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace popalign::synthesis {

enum class PairSide { chosen, rejected };

/// Two texts that make the contrast where a template has the mark `{affix}` (RLCD's word for it).
struct Affix {
    std::string chosen, rejected;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("chosen", chosen, "for the good answer", Presence::required);
        v.field("rejected", rejected, "for the bad answer", Presence::required);
    }
    bool operator==(const Affix&) const = default;
};

/// A question with a good and a bad answer, shown before the instruction.
struct Demonstration {
    std::string question, chosen, rejected;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("question", question, "what is asked", Presence::required);
        v.field("chosen", chosen, "its good answer", Presence::required);
        v.field("rejected", rejected, "its bad answer", Presence::required);
    }
};

/// One user message and how its answer is opened and read. In all but `parse`, `{instruction}`,
/// `{affix}`, `{opposite_affix}` (the other side's) and `{demonstrations}` stand for texts.
struct Turn {
    std::string user;
    std::string assistant_prefix;  ///< the answer's given beginning; not part of the response
    std::string parse = "plain";  ///< `plain`, or `thought_response`: keep what follows "Response:"
    /// How the assistant's turns before the instruction begin, in a longer dialogue (RLCD: with the
    /// other side's words).
    std::string earlier_prefix = {};

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("user", user, "the user's message", Presence::required);
        v.field("assistant_prefix", assistant_prefix, "given beginning of the answer");
        v.field("parse", parse, "plain or thought_response");
        v.field("earlier_prefix", earlier_prefix,
                "given beginning of the assistant's turns before the instruction");
    }
    bool operator==(const Turn&) const = default;
    auto operator<=>(const Turn&) const = default;
};

/// How one of the two answers is made: by which model, in which turns. The last answer counts.
struct Side {
    std::string model;  ///< the key of the strategy's entry that names the model
    std::vector<Turn> turns;
    std::int64_t shots = 0;   ///< demonstrations shown, from the first on; 0: all
    std::int64_t sample = 0;  ///< sides that are equal but for this are drawn apart

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("model", model, "model, chosen or rejected", Presence::required);
        v.field("turns", turns, "the dialogue", Presence::required);
        v.field("shots", shots, "demonstrations shown, from the first on; 0: all");
        v.field("sample", sample, "0 or 1: two sides that are asked alike answer apart");
    }
    bool operator==(const Side&) const = default;
};

struct Contrast {
    Side chosen, rejected;
    std::vector<Affix> affixes;  ///< one is drawn for each instruction

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("chosen", chosen, "the good answer", Presence::required);
        v.field("rejected", rejected, "the bad answer", Presence::required);
        v.field("affixes", affixes, "pairs of texts, one of which is drawn for each instruction");
    }
};

/// A strategy as data (configs/strategies): a new one is a file, not code.
struct StrategyTemplate {
    std::string name, level, source;
    std::vector<Demonstration> demonstrations;
    std::string demonstration = "Question: {question}\nAnswer: {answer}\n\n";
    std::map<std::string, Contrast> variants;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("name", name, "what it is called", Presence::required);
        v.field("level", level, "prompt, model or pipeline", Presence::required);
        v.field("source", source, "where it is described");
        v.field("demonstrations", demonstrations, "what {demonstrations} stands for");
        v.field("demonstration", demonstration, "one of them, with {question} and {answer}");
        v.field("variants", variants, "wordings by name", Presence::required);
    }
    /// Throws UsageError, e.g. for a turn without a message or a mark that stands for nothing.
    void validate() const;
    /// The good (or bad) side's turns with its demonstrations in place, `shots` of them if that is
    /// not 0. Throws UsageError if there are fewer.
    std::vector<Turn> turns(const Contrast& contrast, PairSide side, std::int64_t shots) const;
};

/// A strategy that a run uses.
struct StrategyOptions {
    std::string name, variant = "alignment", model, chosen, rejected, file;
    std::int64_t draws = 1, quota = 0, shots = 0;
    double share = 1;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("name", name,
                "prefix, demonstration, elicitive, nparam, leaderboard, refine, or that of `file`",
                Presence::required);
        v.field("variant", variant,
                "alignment or leaderboard: the paper's two wordings; prefix also has "
                "rlcd_harmless and rlcd_helpful");
        v.field("model", model, "the model of both answers (prompt and pipeline level)",
                Effect::model);
        v.field("chosen", chosen, "the better model (model level)", Effect::model);
        v.field("rejected", rejected, "the worse model (model level)", Effect::model);
        v.field("file", file, "template of a strategy of your own; empty: the built-in one",
                Effect::file);
        v.field("draws", draws, "pairs of each instruction, each drawn afresh");
        v.field("share", share,
                "part of the instructions it is applied to; those of a smaller share are among "
                "those of a larger one");
        v.field("quota", quota,
                "likewise, how many of those for training, and as large a part of the held-out "
                "ones; 0: `share` says");
        v.field("shots", shots, "demonstrations shown; 0: as the template says");
    }
    /// Throws UsageError.
    void validate() const;
    /// The model that a side's `model` key names; throws UsageError if the entry does not give it.
    const std::string& model_for(const std::string& key) const;
};

/// From `options.file`, or built in. Throws UsageError for an unknown name, InputError for a bad
/// file.
StrategyTemplate load_strategy(const StrategyOptions& options);

}  // namespace popalign::synthesis
