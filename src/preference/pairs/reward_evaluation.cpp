#include "preference/pairs/reward_evaluation.hpp"

#include "preference/model/model_setup.hpp"
#include "preference/pairs/reference.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace popalign::preference {
namespace {

struct ConfidenceBin {
    double confidence = 0, right = 0, pairs = 0;
};

nlohmann::json to_json(const RewardFigures& figures) {
    const Interval interval = figures.accuracy.interval();
    return {{"n", figures.accuracy.n},
            {"accuracy",
             {{"value", figures.accuracy.value()},
              {"lower", interval.lower},
              {"upper", interval.upper}}},
            {"margin", figures.margin},
            {"log_loss", figures.log_loss},
            {"brier", figures.brier},
            {"calibration_error", figures.calibration_error}};
}

}  // namespace

RewardFigures summarise(std::span<const ScoredPair> pairs) {
    RewardFigures figures;
    figures.accuracy.n = pairs.size();
    std::array<ConfidenceBin, 10> bins{};
    const double share = pairs.empty() ? 0.0 : 1.0 / static_cast<double>(pairs.size());
    for (const ScoredPair& pair : pairs) {
        const double difference = pair.chosen - pair.rejected;
        const bool right = difference > 0;
        const double loss =
            std::log1p(std::exp(-std::abs(difference))) + std::max(-difference, 0.0);
        figures.accuracy.successes += right ? 1 : 0;
        figures.margin += share * difference;
        figures.log_loss += share * loss;
        figures.brier += share * std::pow(1 - std::exp(-loss), 2);

        const double confidence = 1 / (1 + std::exp(-std::abs(difference)));
        const auto number = static_cast<std::size_t>((confidence - 0.5) * 2 * bins.size());
        ConfidenceBin& bin = bins[std::min(number, bins.size() - 1)];
        bin.confidence += confidence;
        bin.right += right ? 1 : 0;
        bin.pairs += 1;
    }
    for (const ConfidenceBin& bin : bins)
        figures.calibration_error += share * std::abs(bin.right - bin.confidence);
    return figures;
}

RewardEvaluation evaluate_reward_model(const comm::Communicator& comm,
                                       const PreferenceInputs& inputs, const Logger& logger) {
    const PolicyCard policy = open_policy(comm, inputs.policy);
    const PairData data =
        open_pair_data(comm, inputs.pair_file, policy.front_end, inputs.selection, inputs.limits);
    const lm::CausalLm model = load_reward_weights(comm, policy, inputs.device);
    std::vector<std::size_t> items(data.size());
    std::iota(items.begin(), items.end(), std::size_t{0});
    const auto values = compute_log_probabilities(comm, model, data, items,
                                                  inputs.micro_batch_tokens, nullptr, logger);
    RewardEvaluation evaluation;
    evaluation.dropped = data.dropped;
    std::map<std::string, std::vector<ScoredPair>> by_strategy;
    for (std::size_t i = 0; i < data.size(); ++i) {
        evaluation.scores.push_back(
            {data.rows[i], data.strategies[i], values.chosen[i], values.rejected[i]});
        by_strategy[data.strategy_names.at(data.strategies[i])].push_back(evaluation.scores.back());
    }
    evaluation.overall = summarise(evaluation.scores);
    for (const auto& [name, scores] : by_strategy)
        evaluation.strategies[name] = summarise(scores);
    return evaluation;
}

std::string to_json(const RewardEvaluation& evaluation) {
    nlohmann::json json = {{"overall", to_json(evaluation.overall)},
                           {"strategies", nlohmann::json::object()},
                           {"n", evaluation.scores.size()},
                           {"dropped", evaluation.dropped}};
    for (const auto& [name, figures] : evaluation.strategies)
        json["strategies"][name] = to_json(figures);
    return json.dump(2);
}

}  // namespace popalign::preference
