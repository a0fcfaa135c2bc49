#pragma once

#include <popalign/base/config.hpp>
#include <popalign/lm/language_model.hpp>
#include <popalign/record/verdict.hpp>

#include <functional>
#include <span>
#include <string>

namespace popalign {

/// How a model is asked which of two answers is better, as data (configs/judges).
struct JudgeTemplate {
    struct Labels {
        std::string first, second;
        template <class Visitor>
        void visit(Visitor& v) {
            v.field("first", first, "what the judge says for the first answer", Presence::required);
            v.field("second", second, "and for the second", Presence::required);
        }
    };
    std::string name, source, system, user, assistant_prefix;
    Labels labels;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("name", name, "what it is called", Presence::required);
        v.field("source", source, "where it comes from");
        v.field("system", system, "system message; empty: none");
        v.field("user", user, "holds {instruction}, {first} and {second}", Presence::required);
        v.field("assistant_prefix", assistant_prefix, "given beginning of the verdict");
        v.field("labels", labels, "the tokens whose probabilities are compared",
                Presence::required);
    }
};

/// A built-in name, or a YAML file (a name that ends in .yaml). Throws UsageError or InputError.
JudgeTemplate load_judge_template(const std::string& name);
/// SHA-256 of the template as YAML.
std::string judge_template_sha256(const JudgeTemplate& judge_template);

/// An answer and another it is held against.
struct Comparison {
    std::string instruction, chosen, rejected;
};

/// Compares answers by the log-probabilities of the verdict letters. A judge prefers places as well
/// as answers, so it is always asked in both orders.
class PairwiseJudge {
  public:
    /// Throws UsageError if a label is not one token for this model behind the given beginning.
    PairwiseJudge(const CausalLm& model, const ModelFrontEnd& front_end,
                  JudgeTemplate judge_template);

    /// Calls `done(index of the comparison, verdict)` for each order; `pair` and `judge` of the
    /// verdict are the caller's to fill in. `token_budget` bounds the rows of one forward pass.
    void judge(std::span<const Comparison> comparisons, std::int64_t token_budget,
               const std::function<void(std::size_t, Verdict)>& done) const;

  private:
    std::vector<TokenId> prompt(const std::string& instruction, const std::string& first,
                                const std::string& second) const;

    const CausalLm& model_;
    const ModelFrontEnd& front_end_;
    JudgeTemplate template_;
    std::vector<TokenId> labels_;
};

}  // namespace popalign
