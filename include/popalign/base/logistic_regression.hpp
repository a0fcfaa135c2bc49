#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace popalign {

/// What is minimised over the coefficients b, x_i being the rows of `x`:
///     l1 |b|_1 + sum_i weight_i [ log(1 + exp(x_i b)) - target_i x_i b ]
struct LogisticProblem {
    std::size_t features = 0;
    std::vector<double> x;       ///< rows x features, row by row
    std::vector<double> target;  ///< in [0, 1], one a row
    std::vector<double> weight;  ///< at least 0, one a row
    double l1 = 0;

    void add_row(std::span<const double> row, double row_target, double row_weight = 1);
};

struct LogisticFit {
    std::vector<double> coefficients;
    /// The largest violation of the optimality conditions, in shares of the rows' weight.
    double violation = 0;
    int iterations = 0;
};

/// By proximal Newton steps: the loss is replaced by its second-order model, which is minimised
/// together with |b|_1 by coordinate descent (Friedman, Hastie and Tibshirani 2010; Lee, Sun and
/// Saunders 2014) and, once the zeros and signs are known, by elimination; then backtracking. Stops
/// at a violation of 1e-12. Where the rows can be separated and nothing penalises large
/// coefficients, these grow until the violation is that small. Deterministic. Throws Error if it
/// does not get there.
LogisticFit fit_logistic(const LogisticProblem& problem);

/// For each row, by how much `direction` b would change if the row counted once more: the empirical
/// influences (Jaeckel 1972; Hampel 1974), to first order and for the zeros and signs that
/// `coefficients`, the fit, have. Their squares sum up to a variance of direction b.
std::vector<double> row_influences(const LogisticProblem& problem,
                                   std::span<const double> coefficients,
                                   std::span<const double> direction);

double logistic(double log_odds) noexcept;

}  // namespace popalign
