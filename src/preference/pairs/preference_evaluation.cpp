#include "preference/pairs/preference_evaluation.hpp"

#include "preference/model/model_setup.hpp"
#include "preference/pairs/reference.hpp"

#include <popalign/comm/run.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

namespace popalign::preference {
namespace {

nlohmann::json to_json(const Proportion& proportion) {
    const Interval interval = proportion.interval();
    return {{"value", proportion.value()}, {"lower", interval.lower}, {"upper", interval.upper}};
}

nlohmann::json to_json(const PreferenceFigures& figures) {
    return {{"n", figures.reward_accuracy.n},
            {"reward_accuracy", to_json(figures.reward_accuracy)},
            {"loss", figures.loss},
            {"reward_margin", figures.reward_margin},
            {"logps_accuracy", to_json(figures.logps_accuracy)}};
}

}  // namespace

double Proportion::value() const noexcept {
    return n == 0 ? 0.0 : static_cast<double>(successes) / static_cast<double>(n);
}

Interval Proportion::interval() const noexcept {
    return wilson_interval(static_cast<double>(successes), n);
}

PreferenceFigures summarise(std::span<const PairScore> scores, double beta) {
    PreferenceFigures figures;
    figures.reward_accuracy.n = figures.logps_accuracy.n = scores.size();
    for (const PairScore& score : scores) {
        const double margin = (score.policy_chosen - score.reference_chosen) -
                              (score.policy_rejected - score.reference_rejected);
        figures.loss +=
            (std::max(0.0, -beta * margin) + std::log1p(std::exp(-std::abs(beta * margin)))) /
            static_cast<double>(scores.size());
        figures.reward_margin += beta * margin / static_cast<double>(scores.size());
        figures.reward_accuracy.successes += margin > 0 ? 1 : 0;
        figures.logps_accuracy.successes += score.policy_chosen / score.chosen_tokens >
                                                    score.policy_rejected / score.rejected_tokens
                                                ? 1
                                                : 0;
    }
    return figures;
}

PreferenceEvaluation evaluate_preference(const comm::Communicator& comm,
                                         const PreferenceInputs& inputs, const Logger& logger) {
    const PolicyCard policy = open_policy(comm, inputs.policy);
    ModelCard reference_card = open_reference(comm, inputs.reference, policy);
    lm::ModelIdentity& identity = reference_card.identity;
    identity.template_sha256 = policy.identity.template_sha256;

    const PairData data =
        open_pair_data(comm, inputs.pair_file, policy.front_end, inputs.selection, inputs.limits);
    std::optional<lm::CausalLm> loaded;
    const ReferenceSource source{
        inputs.pair_file, reference_key(identity, inputs.limits), inputs.micro_batch_tokens,
        [&]() -> const lm::CausalLm& {
            return loaded.emplace(load_weights(comm, reference_card, inputs.device));
        }};
    const auto reference = reference_log_probabilities(comm, data, source, nullptr, logger);
    loaded.reset();

    CompletionLogProbabilities policy_logps = *reference;
    if (identity.sha256 != policy.identity.sha256) {
        const lm::CausalLm model = load_weights(comm, policy, inputs.device);
        std::vector<std::size_t> items(data.size());
        std::iota(items.begin(), items.end(), std::size_t{0});
        policy_logps = compute_log_probabilities(comm, model, data, items,
                                                 inputs.micro_batch_tokens, nullptr, logger);
    }

    PreferenceEvaluation evaluation;
    evaluation.dropped = data.dropped;
    std::map<std::string, std::vector<PairScore>> by_strategy;
    for (std::size_t i = 0; i < data.size(); ++i) {
        evaluation.scores.push_back({data.rows[i], data.strategies[i], policy_logps.chosen[i],
                                     policy_logps.rejected[i], reference->chosen[i],
                                     reference->rejected[i], data.lengths[i].chosen,
                                     data.lengths[i].rejected});
        by_strategy[data.strategy_names.at(data.strategies[i])].push_back(evaluation.scores.back());
    }
    evaluation.overall = summarise(evaluation.scores, inputs.beta);
    for (const auto& [name, scores] : by_strategy)
        evaluation.strategies[name] = summarise(scores, inputs.beta);
    return evaluation;
}

std::string to_json(const PreferenceEvaluation& evaluation) {
    nlohmann::json json = {{"overall", to_json(evaluation.overall)},
                           {"strategies", nlohmann::json::object()},
                           {"n", evaluation.scores.size()},
                           {"dropped", evaluation.dropped}};
    for (const auto& [name, figures] : evaluation.strategies)
        json["strategies"][name] = to_json(figures);
    return json.dump(2);
}

}  // namespace popalign::preference
