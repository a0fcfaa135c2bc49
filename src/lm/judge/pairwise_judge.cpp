#include "lm/engine/tensor_parallel_model.hpp"
#include "lm/judge/judge_kinds.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/engine/scorer.hpp>
#include <popalign/record/token.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace popalign::lm {
namespace {

/// Reads the next-token log-probabilities of the two labels.
class LocalJudge : public AnswerJudge {
  public:
    LocalJudge(TensorParallelModel model, ModelFrontEnd front_end, JudgeTemplate judge_template,
               std::int64_t batch_tokens)
        : model_(std::move(model)),
          front_end_(std::move(front_end)),
          template_(std::move(judge_template)),
          batch_tokens_(batch_tokens) {
        const auto& tokenizer = front_end_.tokenizer;
        const auto opening = tokenizer.encode(template_.assistant_prefix);
        for (const auto& [label, winner, games] : template_.labels) {
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

    JudgeUsage judge(std::span<const JudgeQuery> queries,
                     const std::function<void(std::size_t, Judgement)>& done,
                     const std::function<bool()>& keep_going) override {
        // A forward pass cannot be left: the question is asked between parts.
        constexpr std::size_t part = 32;
        JudgeUsage usage;
        for (std::size_t begin = 0; begin < queries.size() && (!keep_going || keep_going());
             begin += part) {
            const auto now = queries.subspan(begin, std::min(part, queries.size() - begin));
            std::vector<std::vector<TokenId>> prompts;
            for (const JudgeQuery& query : now) {
                prompts.push_back(prompt(query));
                usage.prompt_tokens += prompts.back().size();
            }
            model_.score_next_token(prompts, labels_, batch_tokens_,
                                    [&](std::size_t index, const std::vector<float>& logprobs) {
                                        done(begin + index, judgement(logprobs));
                                    });
        }
        return usage;
    }

  private:
    Judgement judgement(const std::vector<float>& logprobs) const {
        const auto first = static_cast<double>(logprobs[0]);
        const auto second = static_cast<double>(logprobs[1]);
        Judgement judgement = judgement_of(first - second);
        judgement.raw = nlohmann::json{{"logprob",
                                        {{template_.labels[0].text, first},
                                         {template_.labels[1].text, second}}}}
                            .dump();
        return judgement;
    }

    std::vector<TokenId> prompt(const JudgeQuery& query) const {
        return encode_pieces(front_end_.tokenizer,
                             front_end_.chat->render_prompt(judge_messages(template_, query),
                                                            template_.assistant_prefix));
    }

    TensorParallelModel model_;
    ModelFrontEnd front_end_;
    JudgeTemplate template_;
    std::int64_t batch_tokens_;
    std::vector<TokenId> labels_;
};

}  // namespace

std::unique_ptr<AnswerJudge> open_local_judge(const ModelOptions& model,
                                              JudgeTemplate judge_template,
                                              const JudgeRunOptions& options) {
    ModelFrontEnd front_end = comm::run_on_all(options.ranks.node_leaders(), [&] {
        ModelFrontEnd loaded =
            load_front_end(model.path, model.chat_template, model.template_arguments);
        loaded.require_chat(model.path);
        return loaded;
    });
    return std::make_unique<LocalJudge>(
        TensorParallelModel(options.ranks, model.path,
                            model.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat, options.device),
        std::move(front_end), std::move(judge_template), options.batch_tokens);
}

}  // namespace popalign::lm
