#include <popalign/base/error.hpp>
#include <popalign/base/logistic_regression.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

namespace popalign {
namespace {

constexpr double tolerance = 1e-12;
constexpr int most_iterations = 200, most_sweeps = 1000, most_halvings = 60;

double soft_threshold(double value, double by) {
    return value - std::clamp(value, -by, by);  // no number stays none
}

/// log(1 + exp(z)) - y z without overflow.
double loss_of(double z, double y) {
    return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))) - y * z;
}

class Solver {
  public:
    explicit Solver(const LogisticProblem& problem)
        : problem_(problem),
          d_(problem.features),
          n_(problem.target.size()),
          total_(std::accumulate(problem.weight.begin(), problem.weight.end(), 0.0)),
          gradient_(d_),
          hessian_(d_ * d_) {}

    LogisticFit solve() {
        LogisticFit fit;
        fit.coefficients.assign(d_, 0.0);
        auto& b = fit.coefficients;
        for (; fit.iterations < most_iterations; ++fit.iterations) {
            differentiate(b);
            fit.violation = violation(b);
            if (fit.violation <= tolerance || !improve(b))
                break;
        }
        constexpr double good_enough = 1e-8;  // rounding may end progress before the tolerance
        if (!(fit.violation <= good_enough))
            throw Error(fmt::format(
                "a logistic regression of {} rows and {} features did not converge ({:.1e} off "
                "after {} steps); look for features or weights that are not finite",
                n_, d_, fit.violation, fit.iterations));
        return fit;
    }

    std::vector<double> influences(std::span<const double> b, std::span<const double> direction) {
        differentiate(b);
        std::vector<std::size_t> active;
        std::vector<double> weights;
        for (std::size_t j = 0; j < d_; ++j)
            if (hessian_[j * d_ + j] > 0 && (problem_.l1 == 0 || b[j] != 0)) {
                active.push_back(j);
                weights.push_back(direction[j]);
            }
        solve(active, weights);
        std::vector<double> result(n_, 0.0);
        for (std::size_t i = 0; i < n_; ++i) {
            const double missed = problem_.target[i] - logistic(log_odds(i, b));
            for (std::size_t a = 0; a < active.size(); ++a)
                result[i] += problem_.weight[i] * missed * weights[a] * row(i)[active[a]];
        }
        return result;
    }

  private:
    std::span<const double> row(std::size_t i) const {
        return std::span(problem_.x).subspan(i * d_, d_);
    }
    double log_odds(std::size_t i, std::span<const double> b) const {
        const auto x = row(i);
        return std::inner_product(x.begin(), x.end(), b.begin(), 0.0);
    }
    double norm(std::span<const double> b) const {
        return std::accumulate(b.begin(), b.end(), 0.0,
                               [](double sum, double value) { return sum + std::abs(value); });
    }
    double objective(std::span<const double> b) const {
        double sum = problem_.l1 * norm(b);
        for (std::size_t i = 0; i < n_; ++i)
            sum += problem_.weight[i] * loss_of(log_odds(i, b), problem_.target[i]);
        return sum;
    }

    void differentiate(std::span<const double> b) {
        std::ranges::fill(gradient_, 0.0);
        std::ranges::fill(hessian_, 0.0);
        for (std::size_t i = 0; i < n_; ++i) {
            const double p = logistic(log_odds(i, b)), w = problem_.weight[i];
            const auto x = row(i);
            for (std::size_t j = 0; j < d_; ++j) {
                if (x[j] == 0)
                    continue;
                gradient_[j] += w * (p - problem_.target[i]) * x[j];
                for (std::size_t k = 0; k <= j; ++k)
                    hessian_[j * d_ + k] += w * p * (1 - p) * x[j] * x[k];
            }
        }
        for (std::size_t j = 0; j < d_; ++j)
            for (std::size_t k = 0; k < j; ++k)
                hessian_[k * d_ + j] = hessian_[j * d_ + k];
    }

    /// Returns the largest entry of the smallest subgradient, divided by the total weight.
    double violation(std::span<const double> b) const {
        double largest = 0;
        for (std::size_t j = 0; j < d_; ++j) {
            const double g = gradient_[j];
            const double entry =
                b[j] != 0 ? g + std::copysign(problem_.l1, b[j]) : soft_threshold(g, problem_.l1);
            largest = std::max(largest, std::isfinite(entry) ? std::abs(entry) : HUGE_VAL);
        }
        return largest / std::max(total_, 1e-300);
    }

    /// Minimises g s + s H s / 2 + l1 |b + s|_1 over the step s. Descent finds the nonzero
    /// coefficients and their signs, elimination their values.
    std::vector<double> step_from(std::span<const double> b) const {
        const std::vector<double> start(d_, 0.0);
        if (problem_.l1 == 0)
            if (const auto step = eliminated(b, start))
                return *step;
        const auto step = descended(b);
        return eliminated(b, step).value_or(step);
    }

    std::vector<double> descended(std::span<const double> b) const {
        std::vector<double> step(d_, 0.0), curved(d_, 0.0);  // curved = H step
        for (int sweep = 0; sweep < most_sweeps; ++sweep) {
            double moved = 0, size = 0;
            for (std::size_t j = 0; j < d_; ++j) {
                const double h = hessian_[j * d_ + j];
                if (h <= 0)
                    continue;
                const double from = b[j] + step[j];
                const double to =
                    soft_threshold(h * from - gradient_[j] - curved[j], problem_.l1) / h;
                const double change = to - from;
                if (change == 0)
                    continue;
                step[j] += change;
                for (std::size_t k = 0; k < d_; ++k)
                    curved[k] += change * hessian_[k * d_ + j];
                moved = std::max(moved, std::abs(change));
                size = std::max(size, std::abs(step[j]));
            }
            if (moved <= 1e-14 * size)
                break;
        }
        return step;
    }

    /// The exact minimum among coefficients with the zeros and signs of b + step, by Cholesky's
    /// factors; nothing if it has other signs.
    std::optional<std::vector<double>> eliminated(std::span<const double> b,
                                                  const std::vector<double>& step) const {
        std::vector<std::size_t> active;
        std::vector<double> right, result = step;
        for (std::size_t j = 0; j < d_; ++j) {
            const double to = b[j] + step[j];
            if (hessian_[j * d_ + j] <= 0 || (problem_.l1 > 0 && to == 0))
                continue;
            active.push_back(j);
            right.push_back(-gradient_[j] - (problem_.l1 > 0 ? std::copysign(problem_.l1, to) : 0));
        }
        for (std::size_t j = 0; j < d_; ++j)  // those that become zero pull the others along
            if (std::ranges::find(active, j) == active.end())
                for (std::size_t a = 0; a < active.size(); ++a)
                    right[a] -= hessian_[active[a] * d_ + j] * step[j];
        solve(active, right);
        for (std::size_t a = 0; a < active.size(); ++a) {
            const std::size_t j = active[a];
            if (problem_.l1 > 0 && (b[j] + right[a]) * (b[j] + step[j]) <= 0)
                return std::nullopt;
            result[j] = right[a];
        }
        return result;
    }

    /// Replaces `right` by the solution of its part of the Hessian; features that only repeat those
    /// before them get 0.
    void solve(std::span<const std::size_t> active, std::vector<double>& right) const {
        constexpr double smallest_pivot = 1e-12;  // in shares of the diagonal
        const std::size_t n = active.size();
        std::vector<double> factor(n * n, 0.0);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j <= i; ++j) {
                const double entry = hessian_[active[i] * d_ + active[j]];
                double sum = entry;
                for (std::size_t k = 0; k < j; ++k)
                    sum -= factor[i * n + k] * factor[j * n + k];
                if (i == j)
                    factor[i * n + i] = sum > smallest_pivot * entry ? std::sqrt(sum) : 0;
                else if (factor[j * n + j] > 0)
                    factor[i * n + j] = sum / factor[j * n + j];
            }
        const auto divide = [&](std::size_t i) {
            const double pivot = factor[i * n + i];
            right[i] = pivot > 0 ? right[i] / pivot : 0;
        };
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t k = 0; k < i; ++k)
                right[i] -= factor[i * n + k] * right[k];
            divide(i);
        }
        for (std::size_t i = n; i-- > 0;) {
            for (std::size_t k = i + 1; k < n; ++k)
                right[i] -= factor[k * n + i] * right[k];
            divide(i);
        }
    }

    /// One step; false if rounding leaves nothing to gain.
    bool improve(std::vector<double>& b) const {
        const auto step = step_from(b);
        std::vector<double> to(d_);
        const auto move = [&](double share) {
            for (std::size_t j = 0; j < d_; ++j)
                to[j] = b[j] + share * step[j];
        };
        move(1);
        const double now = objective(b);
        const double promised =
            std::inner_product(step.begin(), step.end(), gradient_.begin(), 0.0) +
            problem_.l1 * (norm(to) - norm(b));
        const double rounding = 1e-15 * std::abs(now);
        double share = 1;
        for (int halving = 0; halving < most_halvings; ++halving, share /= 2) {
            move(share);
            if (objective(to) <= now + 1e-4 * share * promised + rounding) {
                const bool moved = to != b;
                b = to;
                return moved;
            }
        }
        return false;
    }

    const LogisticProblem& problem_;
    std::size_t d_, n_;
    double total_;
    std::vector<double> gradient_, hessian_;
};

}  // namespace

void LogisticProblem::add_row(std::span<const double> row, double row_target, double row_weight) {
    x.insert(x.end(), row.begin(), row.end());
    target.push_back(row_target);
    weight.push_back(row_weight);
}

double logistic(double log_odds) noexcept {
    const double small = std::exp(-std::abs(log_odds));
    return log_odds >= 0 ? 1 / (1 + small) : small / (1 + small);
}

std::vector<double> row_influences(const LogisticProblem& problem,
                                   std::span<const double> coefficients,
                                   std::span<const double> direction) {
    return Solver(problem).influences(coefficients, direction);
}

LogisticFit fit_logistic(const LogisticProblem& problem) {
    return Solver(problem).solve();
}

}  // namespace popalign
