#pragma once

#include <popalign/base/config.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace popalign::synthesis {

enum class PairSide { chosen, rejected };

/// Two contrasting texts that replace the mark `{affix}` (RLCD's term) of a template.
struct Affix {
    std::string chosen, rejected;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("chosen", chosen, "text for the good answer", Presence::required);
        v.field("rejected", rejected, "text for the bad answer", Presence::required);
    }
    bool operator==(const Affix&) const = default;
};

/// A question with a good and a bad answer, shown before the instruction.
struct Demonstration {
    std::string question, chosen, rejected;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("question", question, "the question", Presence::required);
        v.field("chosen", chosen, "its good answer", Presence::required);
        v.field("rejected", rejected, "its bad answer", Presence::required);
    }
};

/// One user message, with the beginning and the format of its answer. Every member but `parse` may
/// contain the marks `{instruction}`, `{affix}`, `{opposite_affix}` (the other side's) and
/// `{demonstrations}`.
struct Turn {
    std::string user;
    std::string assistant_prefix;  ///< given beginning of the answer, not part of the response
    std::string parse = "plain";  ///< `plain`, or `thought_response`: keep what follows "Response:"
    /// Beginning of the assistant's turns before the instruction, in a longer dialogue (RLCD uses
    /// the other side's words).
    std::string earlier_prefix = {};

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("user", user, "the user's message", Presence::required);
        v.field("assistant_prefix", assistant_prefix, "given beginning of the answer");
        v.field("parse", parse, "format of the answer: plain or thought_response");
        v.field("earlier_prefix", earlier_prefix,
                "given beginning of the assistant's turns before the instruction");
    }
    bool operator==(const Turn&) const = default;
    auto operator<=>(const Turn&) const = default;
};

/// Recipe for one of the two answers: a model and turns. The answer to the last turn counts.
struct Side {
    std::string model;  ///< key of the strategy's entry that names the model
    std::vector<Turn> turns;
    std::int64_t shots = 0;   ///< demonstrations shown, from the first on; 0: all
    std::int64_t sample = 0;  ///< sides that differ only in this are drawn independently

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("model", model,
                "key of the strategy that names the model: model, chosen or rejected",
                Presence::required);
        v.field("turns", turns, "the dialogue", Presence::required);
        v.field("shots", shots, "demonstrations shown, from the first on; 0: all");
        v.field("sample", sample,
                "0 or 1; sides with the same prompt but another number are drawn independently");
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

/// A strategy as data (configs/strategies); a new strategy needs a file, no code.
struct StrategyTemplate {
    std::string name, level, source;
    std::vector<Demonstration> demonstrations;
    std::string demonstration = "Question: {question}\nAnswer: {answer}\n\n";
    std::map<std::string, Contrast> variants;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("name", name, "name of the strategy", Presence::required);
        v.field("level", level, "level of the contrast: prompt, model or pipeline",
                Presence::required);
        v.field("source", source, "paper or page that describes it");
        v.field("demonstrations", demonstrations, "examples that replace {demonstrations}");
        v.field("demonstration", demonstration,
                "format of one example, with {question} and {answer}");
        v.field("variants", variants, "wordings by name", Presence::required);
    }
    /// Throws UsageError, e.g. for a turn without a message or an unknown mark.
    void validate() const;
    /// Returns the turns of a side with its demonstrations filled in: the first `shots`, or all if
    /// 0. Throws UsageError if there are fewer.
    std::vector<Turn> turns(const Contrast& contrast, PairSide side, std::int64_t shots) const;
};

/// An entry of `strategies` in a config.
struct StrategyOptions {
    std::string name, variant = "alignment", model, chosen, rejected, file;
    std::int64_t draws = 1, quota = 0, shots = 0;
    double share = 1;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field(
            "name", name,
            "prefix, demonstration, elicitive, nparam, leaderboard, refine, or the name in `file`",
            Presence::required);
        v.field("variant", variant,
                "alignment or leaderboard: the paper's two wordings; prefix also has "
                "rlcd_harmless and rlcd_helpful");
        v.field("model", model, "model for both answers (prompt and pipeline level)",
                Effect::model);
        v.field("chosen", chosen, "the better model (model level)", Effect::model);
        v.field("rejected", rejected, "the worse model (model level)", Effect::model);
        v.field("file", file, "template file of a custom strategy; empty: the built-in one",
                Effect::file);
        v.field("draws", draws, "pairs per instruction, each drawn afresh");
        v.field("share", share,
                "share of the instructions that the strategy is applied to; a smaller share's "
                "instructions are part of a larger one's");
        v.field("quota", quota,
                "number of training instructions, in place of `share`, and the same share of the "
                "held-out ones; 0: `share` decides");
        v.field("shots", shots, "demonstrations shown; 0: the template's number");
    }
    /// Throws UsageError.
    void validate() const;
    /// Returns the model that a side's `model` key names. Throws UsageError if the entry lacks it.
    const std::string& model_for(const std::string& key) const;
};

/// Reads a template from `options.file`, or takes the built-in one. Throws UsageError for an
/// unknown name, InputError for a bad file.
StrategyTemplate load_strategy(const StrategyOptions& options);

}  // namespace popalign::synthesis
