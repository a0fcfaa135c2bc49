#include "lm/judge_kinds.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/model_source.hpp>

#include <fmt/format.h>

#include <cmath>

namespace popalign {

ModelIdentity identify_judge(const std::string& name, const ModelOptions& model) {
    if (!model.responses.empty())
        throw UsageError(fmt::format(
            "models.{}: a file of ready answers cannot judge; name a path or a url", name));
    return make_model_source(name, model)->identify();
}

std::unique_ptr<AnswerJudge> open_judge(const std::string& name, const ModelOptions& model,
                                        JudgeTemplate judge_template,
                                        const JudgeRunOptions& options) {
    model.validate(name);
    return model.endpoint.url.empty()
               ? open_local_judge(model, std::move(judge_template), options)
               : open_endpoint_judge(model.endpoint, std::move(judge_template), options);
}

Verdict verdict_of(AnswerOrder order, double ahead) {
    const double chosen_ahead = order == AnswerOrder::chosen_first ? ahead : -ahead;
    Verdict verdict;
    verdict.order = order;
    verdict.probability = 1 / (1 + std::exp(-chosen_ahead));
    verdict.label = chosen_ahead > 0   ? VerdictLabel::chosen
                    : chosen_ahead < 0 ? VerdictLabel::rejected
                                       : VerdictLabel::tie;
    return verdict;
}

}  // namespace popalign
