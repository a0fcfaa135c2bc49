#pragma once

#include <algorithm>
#include <cmath>

namespace popalign::preference {

/// A number with its derivatives with respect to the policy's values of a pair's two sides
/// (forward-mode differentiation). Objectives are written as formulas; the chain rule gives the
/// slopes.
struct Dual {
    double value = 0, chosen = 0, rejected = 0;
};

/// Returns f(x), given f's value and derivative at x.
constexpr Dual chain(const Dual& x, double value, double derivative) {
    return {value, derivative * x.chosen, derivative * x.rejected};
}

constexpr Dual operator+(const Dual& a, const Dual& b) {
    return {a.value + b.value, a.chosen + b.chosen, a.rejected + b.rejected};
}
constexpr Dual operator+(const Dual& a, double b) {
    return {a.value + b, a.chosen, a.rejected};
}
constexpr Dual operator*(const Dual& a, double b) {
    return chain(a, a.value * b, b);
}
constexpr Dual operator*(double a, const Dual& b) {
    return b * a;
}
constexpr Dual operator*(const Dual& a, const Dual& b) {
    return {a.value * b.value, a.value * b.chosen + a.chosen * b.value,
            a.value * b.rejected + a.rejected * b.value};
}
constexpr Dual operator-(const Dual& a) {
    return a * -1.0;
}
constexpr Dual operator-(const Dual& a, const Dual& b) {
    return a + -b;
}
constexpr Dual operator-(const Dual& a, double b) {
    return a + -b;
}
constexpr Dual operator/(const Dual& a, double b) {
    return a * (1.0 / b);
}

inline Dual exp(const Dual& x) {
    return chain(x, std::exp(x.value), std::exp(x.value));
}
constexpr Dual square(const Dual& x) {
    return x * x;
}
/// max(0, x); its derivative at 0 is 0, as torch's.
constexpr Dual relu(const Dual& x) {
    return x.value > 0 ? x : Dual{};
}
inline double sigmoid(double x) {
    return x >= 0 ? 1.0 / (1.0 + std::exp(-x)) : std::exp(x) / (1.0 + std::exp(x));
}
inline Dual sigmoid(const Dual& x) {
    return chain(x, sigmoid(x.value), sigmoid(x.value) * sigmoid(-x.value));
}
/// log(1 / (1 + exp(-x))) without overflow.
inline Dual log_sigmoid(const Dual& x) {
    return chain(x, std::min(x.value, 0.0) - std::log1p(std::exp(-std::abs(x.value))),
                 sigmoid(-x.value));
}
/// log(1 - exp(x)) for x < 0.
inline Dual log1mexp(const Dual& x) {
    const double value =
        x.value > -0.6931 ? std::log(-std::expm1(x.value)) : std::log1p(-std::exp(x.value));
    return chain(x, value, -1.0 / std::expm1(-x.value));
}

}  // namespace popalign::preference
