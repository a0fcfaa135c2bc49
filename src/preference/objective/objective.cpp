#include "preference/objective/objective.hpp"

#include "preference/objective/objective_table.hpp"

#include <popalign/base/error.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numbers>
#include <numeric>

namespace popalign::preference {
namespace {

void require(bool holds, std::string_view key, std::string_view rule) {
    if (!holds)
        throw UsageError(fmt::format("train.{}: {}", key, rule));
}

bool is_positive(double value) {
    return std::isfinite(value) && value > 0;
}
bool is_not_negative(double value) {
    return std::isfinite(value) && value >= 0;
}

std::size_t row_of(std::string_view key, std::string_view name) {
    const auto table = objective_table();
    const auto row = std::ranges::find(table, name, &ObjectiveRow::name);
    require(row != table.end(), key,
            fmt::format("'{}' is not supported; use one of: {}, or ppo alone", name,
                        fmt::join(objective_names(), ", ")));
    return static_cast<std::size_t>(row - table.begin());
}

std::vector<std::pair<std::size_t, double>> terms_of(const ObjectiveOptions& options) {
    std::vector<std::pair<std::size_t, double>> terms;
    if (options.objective_weights.empty())
        terms.emplace_back(row_of("objective", options.objective), 1.0);
    for (const auto& [name, weight] : options.objective_weights) {
        require(is_positive(weight), "objective_weights." + name, "must be a positive number");
        terms.emplace_back(row_of("objective_weights", name), weight);
    }
    return terms;
}

/// Derivatives f'(t) of the divergence's generator at t = pi/ref, given log t (Wang et al. 2023,
/// "Beyond Reverse KL", table 2, up to constants that cancel in the difference of two scores).
struct Divergence {
    std::string_view name;
    Dual (*score)(const Dual& log_ratio, double alpha);
};
constexpr Divergence divergences[] = {
    {"reverse_kl", [](const Dual& x, double) { return x; }},
    {"forward_kl", [](const Dual& x, double) { return -exp(-x) + 1; }},
    {"js_divergence", [](const Dual& x, double) { return log_sigmoid(x) + std::numbers::ln2; }},
    {"alpha_divergence", [](const Dual& x, double alpha) {
         const double order = alpha - 1;
         return std::abs(order) < 1e-6 ? x : (exp(order * x) - 1) / order;
     }}};

const Divergence& divergence_of(std::string_view name) {
    const auto* row = std::ranges::find(divergences, name, &Divergence::name);
    require(row != std::end(divergences), "f_divergence",
            fmt::format("'{}' is not supported; use one of: reverse_kl, forward_kl, "
                        "js_divergence, alpha_divergence",
                        name));
    return *row;
}

/// `values`' positions in ascending order of them; ties by position.
std::vector<std::size_t> ascending(const std::vector<double>& values) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return values[i]; });
    return order;
}

void validate(const ObjectiveOptions& options) {
    const auto terms = terms_of(options);
    divergence_of(options.f_divergence);
    require(is_positive(options.beta), "beta", "must be a positive number");
    require(options.label_smoothing >= 0 && options.label_smoothing < 0.5, "label_smoothing",
            "must be at least 0 and below 0.5");
    require(is_not_negative(options.target_margin), "target_margin", "must not be negative");
    require(is_positive(options.discopop_tau), "discopop_tau", "must be a positive number");
    require(is_positive(options.desirable_weight), "desirable_weight", "must be a positive number");
    require(is_positive(options.undesirable_weight), "undesirable_weight",
            "must be a positive number");
    require(std::isfinite(options.alpha), "alpha", "must be a number");
    require(std::isfinite(options.reward_margin), "reward_margin", "must be a number");
    require(is_not_negative(options.reward_centering), "reward_centering", "must not be negative");
    for (const auto& [index, weight] : terms) {
        const ObjectiveRow& row = objective_table()[index];
        require((row.traits & on_f_divergence) != 0 || (row.traits & on_reference) == 0 ||
                    options.f_divergence == "reverse_kl",
                "f_divergence", fmt::format("{} is defined with reverse_kl alone", row.name));
        require(row.name != "exo_pair" || options.label_smoothing > 0, "label_smoothing",
                "exo_pair takes its logarithm: set it above 0, as 0.001");
        require((row.traits & on_reward_scores) == 0 || terms.size() == 1, "objective_weights",
                "a reward model is trained with the objective reward alone");
    }
}

}  // namespace

Objective::Objective(const ObjectiveOptions& options) : options_(options) {
    validate(options);
    terms_ = terms_of(options);
    // The first one's rewards are reported: of a mix, those that are tied to the reference.
    std::ranges::stable_sort(terms_, std::greater(), [](const auto& term) {
        return objective_table()[term.first].traits & (on_reference | on_rejected);
    });
}

bool Objective::any(unsigned trait) const noexcept {
    return std::ranges::any_of(terms_, [&](const auto& term) {
        return (objective_table()[term.first].traits & trait) != 0;
    });
}
bool Objective::uses_reference() const noexcept {
    return any(on_reference);
}
bool Objective::uses_rejected() const noexcept {
    return any(on_rejected);
}
bool Objective::uses_matches() const noexcept {
    return any(on_matches);
}
bool Objective::uses_divergence() const noexcept {
    return any(on_divergence);
}
bool Objective::uses_scores() const noexcept {
    return any(on_reward_scores);
}
bool Objective::can_vanish() const noexcept {
    return any(may_vanish);
}

PairLoss Objective::operator()(const PairScore& pair, const BatchContext& batch) const {
    const Divergence& divergence = divergence_of(options_.f_divergence);
    ObjectiveTerms terms{options_, pair, batch};
    terms.match.reference = pair.reference_chosen - pair.reference_rejected;
    if (const auto match = batch.matches.find(pair.pair); match != batch.matches.end())
        terms.match = match->second;
    terms.chosen = {pair.policy_chosen, 1, 0};
    terms.rejected = {pair.policy_rejected, 0, 1};
    terms.chosen_ratio = terms.chosen - pair.reference_chosen;
    terms.rejected_ratio = terms.rejected - pair.reference_rejected;
    terms.chosen_score = divergence.score(terms.chosen_ratio, options_.alpha);
    terms.rejected_score = divergence.score(terms.rejected_ratio, options_.alpha);
    terms.chosen_mean = terms.chosen / pair.chosen_tokens;
    terms.rejected_mean = terms.rejected / pair.rejected_tokens;

    Dual sum;
    for (const auto& [row, weight] : terms_)
        sum = sum + weight * objective_table()[row].formula(terms);
    PairLoss result{sum.value, sum.chosen, sum.rejected, 0, 0};
    const double beta = options_.beta;
    switch (objective_table()[terms_.front().first].reward) {
        case RewardKind::log_ratio:
            result.chosen_reward = beta * terms.chosen_ratio.value;
            result.rejected_reward = beta * terms.rejected_ratio.value;
            break;
        case RewardKind::log_probability:
            result.chosen_reward = beta * terms.chosen.value;
            result.rejected_reward = beta * terms.rejected.value;
            break;
        case RewardKind::mean_log_probability:
            result.chosen_reward = beta * terms.chosen_mean.value;
            result.rejected_reward = beta * terms.rejected_mean.value;
            break;
        case RewardKind::score:
            result.chosen_reward = terms.chosen.value;
            result.rejected_reward = terms.rejected.value;
            break;
    }
    return result;
}

std::vector<std::string> objective_names() {
    std::vector<std::string> names;
    for (const ObjectiveRow& row : objective_table())
        names.emplace_back(row.name);
    return names;
}

std::unordered_map<std::uint64_t, BatchContext::Match> match_by_rank(
    std::span<const PairScore> scores) {
    std::vector<PairScore> pairs(scores.begin(), scores.end());
    std::ranges::sort(pairs, {}, &PairScore::pair);
    std::vector<double> policy, reference, chosen, rejected;
    for (const PairScore& pair : pairs) {
        policy.push_back(pair.policy_chosen - pair.policy_rejected);
        reference.push_back(pair.reference_chosen - pair.reference_rejected);
        chosen.push_back(pair.policy_chosen - pair.reference_chosen);
        rejected.push_back(pair.policy_rejected - pair.reference_rejected);
    }
    const auto by_policy = ascending(policy), by_reference = ascending(reference);
    const auto by_chosen = ascending(chosen), by_rejected = ascending(rejected);
    std::unordered_map<std::uint64_t, BatchContext::Match> matches;
    for (std::size_t rank = 0; rank < pairs.size(); ++rank) {
        matches[pairs[by_policy[rank]].pair].reference = reference[by_reference[rank]];
        matches[pairs[by_chosen[rank]].pair].rejected = rejected[by_rejected[rank]];
        matches[pairs[by_rejected[rank]].pair].chosen = chosen[by_chosen[rank]];
    }
    return matches;
}

}  // namespace popalign::preference
