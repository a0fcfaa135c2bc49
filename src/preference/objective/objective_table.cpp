#include "preference/objective/objective_table.hpp"

namespace popalign::preference {
namespace {

using Terms = ObjectiveTerms;

/// -log sigmoid(x) with a share of labels taken for wrong.
Dual smoothed(const Terms& t, const Dual& x) {
    const double flipped = t.options.label_smoothing;
    return -(1 - flipped) * log_sigmoid(x) - flipped * log_sigmoid(-x);
}
Dual scaled_margin(const Terms& t) {
    return t.options.beta * (t.chosen_score - t.rejected_score);
}
Dual mean_margin(const Terms& t) {
    return t.chosen_score / t.pair.chosen_tokens - t.rejected_score / t.pair.rejected_tokens;
}
/// Without its value: what another pair reports.
Dual slopes_of(Dual x) {
    x.value = 0;
    return x;
}

Dual dpo(const Terms& t) {
    return -log_sigmoid(scaled_margin(t));
}
Dual cdpo(const Terms& t) {
    return smoothed(t, scaled_margin(t));
}
Dual robust(const Terms& t) {
    const double flipped = t.options.label_smoothing;
    const Dual x = scaled_margin(t);
    return (flipped * log_sigmoid(-x) - (1 - flipped) * log_sigmoid(x)) / (1 - 2 * flipped);
}
Dual hinge(const Terms& t) {
    return relu(-scaled_margin(t) + 1);
}
Dual ipo(const Terms& t) {
    return square(mean_margin(t) - 1 / (2 * t.options.beta));
}
Dual ipo_sum(const Terms& t) {
    return square(t.chosen_score - t.rejected_score - 1 / (2 * t.options.beta));
}
Dual dpo_norm(const Terms& t) {
    return -log_sigmoid(t.options.beta * mean_margin(t));
}
Dual simpo(const Terms& t) {
    return smoothed(t,
                    t.options.beta * (t.chosen_mean - t.rejected_mean) - t.options.target_margin);
}
Dual cpo(const Terms& t) {
    return smoothed(t, t.options.beta * (t.chosen - t.rejected));
}
Dual sft(const Terms& t) {
    return -t.chosen / t.batch.tokens_per_pair;
}
Dual orpo(const Terms& t) {
    const Dual log_odds =
        t.chosen_mean - t.rejected_mean - (log1mexp(t.chosen_mean) - log1mexp(t.rejected_mean));
    return sft(t) - t.options.beta * log_sigmoid(log_odds);
}
Dual kto(const Terms& t) {
    const double beta = t.options.beta, origin = t.batch.divergence;
    const Dual chosen = sigmoid(beta * (-t.chosen_ratio + origin));
    const Dual rejected = sigmoid(beta * (t.rejected_ratio - origin));
    return 0.5 * (t.options.desirable_weight * chosen + t.options.undesirable_weight * rejected);
}
Dual apo_zero(const Terms& t) {
    return sigmoid(-t.options.beta * t.chosen_ratio) + sigmoid(t.options.beta * t.rejected_ratio);
}
Dual apo_down(const Terms& t) {
    return sigmoid(t.options.beta * t.chosen_ratio) +
           sigmoid(-t.options.beta * (t.chosen_ratio - t.rejected_ratio));
}
Dual exo_pair(const Terms& t) {
    const double flipped = t.options.label_smoothing;
    const Dual x = scaled_margin(t);
    return sigmoid(x) * (log_sigmoid(x) - std::log1p(-flipped)) +
           sigmoid(-x) * (log_sigmoid(-x) - std::log(flipped));
}
Dual nca_pair(const Terms& t) {
    const Dual chosen = t.options.beta * t.chosen_ratio;
    const Dual rejected = t.options.beta * t.rejected_ratio;
    return -log_sigmoid(chosen) - 0.5 * log_sigmoid(-chosen) - 0.5 * log_sigmoid(-rejected);
}
Dual bco_pair(const Terms& t) {
    return -log_sigmoid(t.options.beta * t.chosen_ratio) -
           log_sigmoid(-t.options.beta * t.rejected_ratio);
}
Dual sppo_hard(const Terms& t) {
    const double half = 0.5 / t.options.beta;
    return square(t.chosen_ratio - half) + square(t.rejected_ratio + half);
}
Dual aot(const Terms& t) {
    return smoothed(t, t.options.beta * (t.chosen - t.rejected - t.match.reference));
}
Dual aot_unpaired(const Terms& t) {
    const double beta = t.options.beta;
    // This pair's two answers stand in two terms of the sum; it reports the chosen one's.
    return smoothed(t, beta * (t.chosen_ratio - t.match.rejected)) +
           slopes_of(smoothed(t, beta * (-t.rejected_ratio + t.match.chosen)));
}
Dual discopop(const Terms& t) {
    const Dual x = scaled_margin(t);
    const Dual blend = sigmoid(x / t.options.discopop_tau);
    return -log_sigmoid(x) * (-blend + 1) + exp(-x) * blend;
}
Dual reward(const Terms& t) {
    return -log_sigmoid(t.chosen - t.rejected - t.options.reward_margin) +
           t.options.reward_centering * square(t.chosen + t.rejected);
}

constexpr unsigned pairwise = on_reference | on_rejected;
constexpr unsigned on_scores = pairwise | on_f_divergence;

constexpr ObjectiveRow rows[] = {
    {"dpo", dpo, on_scores},
    {"cdpo", cdpo, on_scores},
    {"robust", robust, on_scores | may_vanish},
    {"hinge", hinge, on_scores | may_vanish},
    {"ipo", ipo, on_scores | may_vanish},
    {"ipo_sum", ipo_sum, on_scores | may_vanish},
    {"dpo_norm", dpo_norm, on_scores},
    {"simpo", simpo, on_rejected, RewardKind::mean_log_probability},
    {"cpo", cpo, on_rejected, RewardKind::log_probability},
    {"orpo", orpo, on_rejected, RewardKind::mean_log_probability},
    {"kto", kto, pairwise | on_divergence},
    {"apo_zero", apo_zero, pairwise},
    {"apo_down", apo_down, pairwise},
    {"exo_pair", exo_pair, on_scores | may_vanish},
    {"nca_pair", nca_pair, pairwise},
    {"bco_pair", bco_pair, pairwise},
    {"sppo_hard", sppo_hard, pairwise | may_vanish},
    {"aot", aot, pairwise | on_matches},
    {"aot_unpaired", aot_unpaired, pairwise | on_matches},
    {"discopop", discopop, on_scores},
    {"sft", sft, 0, RewardKind::log_probability},
    {"reward", reward, on_rejected | on_reward_scores, RewardKind::score},
};

}  // namespace

std::span<const ObjectiveRow> objective_table() {
    return rows;
}

}  // namespace popalign::preference
