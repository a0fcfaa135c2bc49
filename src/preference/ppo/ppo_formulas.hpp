#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace popalign::preference {

/// What a completion is worth, token by token.
struct Advantages {
    std::vector<double> advantages, returns;  ///< a token each
};

/// Generalised advantage estimation (Schulman et al. 2016, eq. 16) of a completion with which the
/// episode ends; a return is the advantage plus the value. `rewards` and `values` are a token each.
Advantages estimate_advantages(std::span<const double> rewards, std::span<const double> values,
                               double gamma, double lambda);

/// Rewards of a completion's tokens: `-kl_coefficient` times log(policy / reference) [nat] of each,
/// and `score` with the last (Ziegler et al. 2019, eq. 2).
std::vector<double> token_rewards(std::span<const double> log_probabilities,
                                  std::span<const double> reference_log_probabilities, double score,
                                  double kl_coefficient);

enum class Mean { removed, kept };
/// Scales to variance 1 (of a sample, as TRL's masked_whiten).
void whiten(std::span<double> values, Mean mean);

/// The coefficient after `episodes` completions with a mean divergence of `kl` from the reference
/// (Ziegler et al. 2019, sec. 2.2): it moves by at most a fifth of `episodes / horizon`.
double adapted_kl_coefficient(double coefficient, double kl, double target, std::int64_t episodes,
                              double horizon);

/// A token's loss and its derivative by what is learned.
struct TokenLoss {
    double loss = 0, slope = 0;
    bool clipped = false;
};

/// Schulman et al. 2017, eq. 7, negated; the slope is by `log_probability`.
TokenLoss policy_loss(double log_probability, double old_log_probability, double advantage,
                      double clip_range);
/// Half the squared error, of `value` or of it clipped to `clip_range` around `old_value`,
/// whichever is larger; the slope is by `value`.
TokenLoss value_loss(double value, double old_value, double return_, double clip_range);

}  // namespace popalign::preference
