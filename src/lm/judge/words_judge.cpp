#include "lm/judge/judge_kinds.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace popalign::lm {
namespace {

/// Lets the model write its verdict, greedily, and reads it.
class WordsJudge : public AnswerJudge {
  public:
    WordsJudge(const JudgeSpec& judge, const JudgeRunOptions& options)
        : endpoint_(judge.model->endpoint),
          template_(judge.judge_template),
          seed_(options.seed),
          backend_(make_model_backend(judge.name, *judge.model)) {
        if (!endpoint_.url.empty() && endpoint_.prefill == "none")
            template_.assistant_prefix.clear();
        AnswerOptions answering;
        answering.sampling.temperature = 0;
        answering.device = options.device;
        answering.ranks = options.ranks;
        answering.logger = options.logger;
        session_ = backend_->open(answering);
    }

    JudgeUsage judge(std::span<const JudgeQuery> queries,
                     const std::function<void(std::size_t, Judgement)>& done,
                     const std::function<bool()>& keep_going) override {
        std::vector<Question> questions;
        for (const JudgeQuery& query : queries)
            questions.push_back(judge_question(template_, query, seed_));
        JudgeUsage usage;
        session_->answer(
            questions,
            [&](std::size_t index, Answer answer) {
                usage.prompt_tokens += answer.prompt_tokens > 0
                                           ? answer.prompt_tokens
                                           : backend_->measure(questions[index]);
                usage.answer_tokens +=
                    std::max<std::uint64_t>(answer.answer_tokens, answer.tokens.size());
                Judgement judgement = judgement_of_words(template_, answer.text);
                if (answer.refused)
                    judgement.outcome = Outcome::abstained;
                done(index, std::move(judgement));
            },
            keep_going);
        usage.cost = price(endpoint_, usage);
        return usage;
    }

  private:
    EndpointOptions endpoint_;
    JudgeTemplate template_;
    std::uint64_t seed_;
    std::unique_ptr<ModelBackend> backend_;
    std::unique_ptr<ModelSession> session_;
};

}  // namespace

std::unique_ptr<AnswerJudge> open_words_judge(const JudgeSpec& judge,
                                              const JudgeRunOptions& options) {
    return std::make_unique<WordsJudge>(judge, options);
}

}  // namespace popalign::lm
