#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace popalign {

/// Objective that is minimised over the coefficients b, where x_i are the rows of `x`:
///     l1 |b|_1 + sum_i weight_i [ log(1 + exp(x_i b)) - target_i x_i b ]
struct LogisticProblem {
    std::size_t features = 0;
    std::vector<double> x;       ///< [rows, features], row-major
    std::vector<double> target;  ///< [rows], in [0, 1]
    std::vector<double> weight;  ///< [rows], at least 0
    double l1 = 0;

    void add_row(std::span<const double> row, double row_target, double row_weight = 1);
};

struct LogisticFit {
    std::vector<double> coefficients;
    /// Largest violation of the optimality conditions, divided by the total weight of the rows.
    double violation = 0;
    int iterations = 0;
};

/// Minimises the objective by proximal Newton steps: the loss is replaced by its second-order
/// model, which is minimised together with |b|_1 by coordinate descent (Friedman, Hastie and
/// Tibshirani 2010; Lee, Sun and Saunders 2014) and, once the zeros and signs are known, by
/// elimination; then backtracking. Stops at a violation of 1e-12. If the rows are separable and
/// large coefficients are not penalised, the coefficients grow until the violation is that small.
/// Deterministic. Throws Error if it does not converge.
LogisticFit fit_logistic(const LogisticProblem& problem);

/// Returns the empirical influence of each row (Jaeckel 1972; Hampel 1974): the first-order change
/// of the product of `direction` and b if the row counted once more, with the zeros and signs of
/// the fitted `coefficients` kept. The sum of their squares is a variance of that product.
std::vector<double> row_influences(const LogisticProblem& problem,
                                   std::span<const double> coefficients,
                                   std::span<const double> direction);

double logistic(double log_odds) noexcept;

}  // namespace popalign
