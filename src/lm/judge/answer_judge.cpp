#include "lm/judge/judge_kinds.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>

#include <fmt/format.h>

namespace popalign::lm {
namespace {

const ModelOptions& model_of(const JudgeSpec& judge) {
    if (!judge.model->responses.empty())
        throw UsageError(fmt::format(
            "models.{}: a file of ready answers cannot judge; name a path or a url", judge.name));
    return *judge.model;
}

bool is_reward_judge(const JudgeSpec& judge) {
    return judge.model && !judge.model->path.empty() &&
           is_reward_model(std::filesystem::path(judge.model->path));
}

}  // namespace

Question judge_question(const JudgeTemplate& judge_template, const JudgeQuery& query,
                        std::uint64_t seed) {
    const bool letters = judge_template.verdict == "letters";
    return {
        judge_messages(judge_template, query),
        judge_template.assistant_prefix,
        letters ? 1 : judge_template.max_new_tokens,
        RandomStream(seed, query.instruction + '\0' + query.first + '\0' + query.second, "judge"),
        "",
        query.instruction,
        "verdict"};
}

bool reads_template(const JudgeSpec& judge) {
    return judge.model && !is_reward_judge(judge);
}

ModelIdentity identify_judge(const JudgeSpec& judge) {
    if (judge.model)
        return make_model_backend(judge.name, model_of(judge))->identify();
    open_baseline_judge(judge.name, 0);  // throws for another name
    ModelIdentity identity;
    identity.path = judge.name;
    identity.sha256 = sha256_hex(judge.name);
    return identity;
}

JudgeUsage measure_queries(const JudgeSpec& judge, std::span<const JudgeQuery> queries) {
    JudgeUsage usage;
    if (!judge.model)
        return usage;
    if (is_reward_judge(judge))
        return measure_reward_queries(*judge.model, queries);
    const auto backend = make_model_backend(judge.name, model_of(judge));
    const EndpointOptions& endpoint = judge.model->endpoint;
    for (const JudgeQuery& query : queries) {
        Question question = judge_question(judge.judge_template, query, 0);
        if (!endpoint.url.empty() && endpoint.prefill == "none")
            question.assistant_prefix.clear();
        usage.prompt_tokens += backend->measure(question);
        usage.answer_tokens += static_cast<std::uint64_t>(question.max_new_tokens);
    }
    usage.cost = price(endpoint, usage);
    return usage;
}

double price(const EndpointOptions& endpoint, const JudgeUsage& usage) {
    return (static_cast<double>(usage.prompt_tokens) * endpoint.prompt_price +
            static_cast<double>(usage.answer_tokens) * endpoint.completion_price) /
           1e6;
}

std::unique_ptr<AnswerJudge> open_judge(const JudgeSpec& judge, const JudgeRunOptions& options) {
    if (!judge.model)
        return open_baseline_judge(judge.name, options.seed);
    const ModelOptions& model = model_of(judge);
    model.validate(judge.name);
    if (is_reward_judge(judge))
        return open_reward_judge(model, options);
    if (judge.judge_template.verdict != "letters")
        return open_words_judge(judge, options);
    return model.endpoint.url.empty()
               ? open_local_judge(model, judge.judge_template, options)
               : open_endpoint_judge(model.endpoint, judge.judge_template, options);
}

}  // namespace popalign::lm
