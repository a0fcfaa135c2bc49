#include "preference/ppo/ppo_formulas.hpp"

#include <algorithm>
#include <cmath>

namespace popalign::preference {

Advantages estimate_advantages(std::span<const double> rewards, std::span<const double> values,
                               double gamma, double lambda) {
    Advantages result{std::vector<double>(rewards.size()), std::vector<double>(rewards.size())};
    double next_value = 0, advantage = 0;
    for (std::size_t t = rewards.size(); t-- > 0;) {
        const double error = rewards[t] + gamma * next_value - values[t];
        advantage = error + gamma * lambda * advantage;
        next_value = values[t];
        result.advantages[t] = advantage;
        result.returns[t] = advantage + values[t];
    }
    return result;
}

std::vector<double> token_rewards(std::span<const double> log_probabilities,
                                  std::span<const double> reference_log_probabilities, double score,
                                  double kl_coefficient) {
    std::vector<double> rewards;
    for (std::size_t t = 0; t < log_probabilities.size(); ++t)
        rewards.push_back(-kl_coefficient *
                          (log_probabilities[t] - reference_log_probabilities[t]));
    if (!rewards.empty())
        rewards.back() += score;
    return rewards;
}

void whiten(std::span<double> values, Mean mean) {
    if (values.size() < 2)
        return;
    const auto count = static_cast<double>(values.size());
    double sum = 0, squares = 0;
    for (const double value : values)
        sum += value;
    const double average = sum / count;
    for (const double value : values)
        squares += (value - average) * (value - average);
    const double scale = 1 / std::sqrt(squares / (count - 1) + 1e-8);
    for (double& value : values)
        value = (value - average) * scale + (mean == Mean::kept ? average : 0.0);
}

double adapted_kl_coefficient(double coefficient, double kl, double target, std::int64_t episodes,
                              double horizon) {
    const double error = std::clamp(kl / target - 1, -0.2, 0.2);
    return coefficient * (1 + error * static_cast<double>(episodes) / horizon);
}

TokenLoss policy_loss(double log_probability, double old_log_probability, double advantage,
                      double clip_range) {
    const double ratio = std::exp(log_probability - old_log_probability);
    const double plain = -advantage * ratio;
    const double clipped = -advantage * std::clamp(ratio, 1 - clip_range, 1 + clip_range);
    if (clipped > plain)
        return {clipped, 0, true};
    return {plain, plain, false};
}

TokenLoss value_loss(double value, double old_value, double return_, double clip_range) {
    const double near = std::clamp(value, old_value - clip_range, old_value + clip_range);
    const double plain = value - return_, clipped = near - return_;
    if (clipped * clipped > plain * plain)
        return {clipped * clipped / 2, 0, true};
    return {plain * plain / 2, plain, false};
}

}  // namespace popalign::preference
