#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace popalign::preference {

/// Advantages and returns of a completion's tokens.
struct Advantages {
    std::vector<double> advantages, returns;  ///< one per token
};

/// Generalised advantage estimation (Schulman et al. 2016, eq. 16) of a completion that ends the
/// episode. A return is the advantage plus the value. `rewards` and `values` have one entry per
/// token.
Advantages estimate_advantages(std::span<const double> rewards, std::span<const double> values,
                               double gamma, double lambda);

/// Returns the rewards of a completion's tokens: `-kl_coefficient` times log(policy / reference)
/// [nat] for each, plus `score` for the last (Ziegler et al. 2019, eq. 2).
std::vector<double> token_rewards(std::span<const double> log_probabilities,
                                  std::span<const double> reference_log_probabilities, double score,
                                  double kl_coefficient);

enum class Mean { removed, kept };
/// Scales to sample variance 1, as TRL's masked_whiten.
void whiten(std::span<double> values, Mean mean);

/// Returns the coefficient after `episodes` completions with a mean divergence of `kl` from the
/// reference (Ziegler et al. 2019, sec. 2.2): it changes by at most a fifth of `episodes /
/// horizon`.
double adapted_kl_coefficient(double coefficient, double kl, double target, std::int64_t episodes,
                              double horizon);

/// A token's loss and its derivative with respect to the learned value.
struct TokenLoss {
    double loss = 0, slope = 0;
    bool clipped = false;
};

/// Returns the negated objective of Schulman et al. 2017, eq. 7; the slope is with respect to
/// `log_probability`.
TokenLoss policy_loss(double log_probability, double old_log_probability, double advantage,
                      double clip_range);
/// Returns half the squared error of `value`, or of `value` clipped to `clip_range` around
/// `old_value`, whichever is larger; the slope is with respect to `value`.
TokenLoss value_loss(double value, double old_value, double return_, double clip_range);

}  // namespace popalign::preference
