#include "lm/group_model.hpp"
#include "lm/judge_kinds.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/language_model.hpp>
#include <popalign/lm/scorer.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace popalign {
namespace {

/// Reads the next-token log-probabilities of the two labels.
class LocalJudge : public AnswerJudge {
  public:
    LocalJudge(GroupModel model, ModelFrontEnd front_end, JudgeTemplate judge_template,
               std::int64_t batch_tokens)
        : model_(std::move(model)),
          front_end_(std::move(front_end)),
          template_(std::move(judge_template)),
          batch_tokens_(batch_tokens) {
        const auto& tokenizer = front_end_.tokenizer;
        const auto opening = tokenizer.encode(template_.assistant_prefix);
        for (const std::string& label : {template_.labels.first, template_.labels.second}) {
            auto whole = tokenizer.encode(template_.assistant_prefix + label);
            const bool extends = whole.size() == opening.size() + 1 &&
                                 std::equal(opening.begin(), opening.end(), whole.begin());
            if (!extends)
                throw UsageError(
                    fmt::format("judge template '{}': the label '{}' is not one token behind "
                                "'{}' for this model; choose other labels",
                                template_.name, label, template_.assistant_prefix));
            labels_.push_back(whole.back());
        }
    }

    void judge(std::span<const Comparison> comparisons,
               const std::function<void(std::size_t, Verdict)>& done) override {
        std::vector<std::vector<TokenId>> prompts;
        for (const auto& [instruction, chosen, rejected] : comparisons) {
            prompts.push_back(prompt(instruction, chosen, rejected));
            prompts.push_back(prompt(instruction, rejected, chosen));
        }
        const auto on_scored = [&](std::size_t index, const std::vector<float>& logprobs) {
            const auto first = static_cast<double>(logprobs[0]);
            const auto second = static_cast<double>(logprobs[1]);
            Verdict verdict =
                verdict_of(index % 2 == 0 ? AnswerOrder::chosen_first : AnswerOrder::rejected_first,
                           first - second);
            verdict.raw = nlohmann::json{{"logprob",
                                          {{template_.labels.first, first},
                                           {template_.labels.second, second}}}}
                              .dump();
            done(index / 2, std::move(verdict));
        };
        model_.score_next_token(prompts, labels_, batch_tokens_, on_scored);
    }

  private:
    std::vector<TokenId> prompt(const std::string& instruction, const std::string& first,
                                const std::string& second) const {
        return encode_pieces(
            front_end_.tokenizer,
            front_end_.chat->render_prompt(judge_messages(template_, instruction, first, second),
                                           template_.assistant_prefix));
    }

    GroupModel model_;
    ModelFrontEnd front_end_;
    JudgeTemplate template_;
    std::int64_t batch_tokens_;
    std::vector<TokenId> labels_;
};

}  // namespace

std::unique_ptr<AnswerJudge> open_local_judge(const ModelOptions& model,
                                              JudgeTemplate judge_template,
                                              const JudgeRunOptions& options) {
    ModelFrontEnd front_end = run_on_all(options.ranks.node_leaders(), [&] {
        ModelFrontEnd made =
            load_front_end(model.path, model.chat_template, model.template_arguments);
        made.require_chat(model.path);
        return made;
    });
    return std::make_unique<LocalJudge>(
        GroupModel(options.ranks, model.path,
                   model.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat, options.device),
        std::move(front_end), std::move(judge_template), options.batch_tokens);
}

}  // namespace popalign
