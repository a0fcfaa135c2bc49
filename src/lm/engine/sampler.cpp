#include "lm/engine/sampler.hpp"

#include "lm/kernels/row_kernels.hpp"

#include <popalign/base/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace popalign::lm {
namespace {

using Row = std::span<const float>;

struct Candidate {
    float weight;
    TokenId token;
    bool operator<(const Candidate& other) const {  // heavier first, then lower id
        return weight > other.weight || (weight == other.weight && token < other.token);
    }
};

/// exp((logit - largest) / temperature), by blocks first.
class Exponentials {
  public:
    Exponentials(Row logits, float largest, double temperature)
        : logits_(logits),
          largest_(largest),
          scale_(static_cast<float>(1 / temperature)),
          sums_((logits.size() + kernel::block - 1) / kernel::block) {
        kernel::exponential_sums(logits.data(), logits.size(), largest_, scale_, sums_.data());
        total_ = std::accumulate(sums_.begin(), sums_.end(), 0.0);
    }

    double total() const noexcept { return total_; }
    std::vector<float> weights(std::size_t begin, std::size_t count) const {
        std::vector<float> weights(std::min(count, logits_.size() - begin));
        kernel::exponentials(logits_.data() + begin, weights.size(), largest_, scale_,
                             weights.data());
        return weights;
    }

    /// Only the exponentials of one block are looked at one by one.
    TokenId draw(double uniform) const {
        double target = uniform * total_;
        std::size_t b = 0;
        const auto last = static_cast<std::size_t>(
            std::find_if(sums_.rbegin(), sums_.rend(), [](float sum) { return sum > 0; }).base() -
            sums_.begin() - 1);
        while (b < last && target >= static_cast<double>(sums_[b]))
            target -= static_cast<double>(sums_[b++]);
        std::size_t last_possible = 0;
        const std::vector<float> block = weights(b * kernel::block, kernel::block);
        for (std::size_t i = 0; i < block.size(); ++i) {
            const auto weight = static_cast<double>(block[i]);
            if (weight > 0)
                last_possible = i;
            if (target < weight)
                break;
            target -= weight;
        }
        // Rounding may carry the target past the end: the last token that can be drawn takes it.
        return static_cast<TokenId>(b * kernel::block + last_possible);
    }

  private:
    Row logits_;
    float largest_, scale_;
    std::vector<float> sums_;
    double total_ = 0;
};

/// The heaviest candidates in order: at least `count`, or all.
std::vector<Candidate> heaviest(Row weights, std::size_t count) {
    std::vector<Candidate> all;
    all.reserve(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i)
        all.push_back({weights[i], static_cast<TokenId>(i)});
    count = std::min(count, all.size());
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(count);
    if (count < all.size())
        std::nth_element(all.begin(), middle, all.end());
    std::sort(all.begin(), middle);
    all.erase(middle, all.end());
    return all;
}

double sum(const std::vector<Candidate>& candidates) {
    return std::accumulate(candidates.begin(), candidates.end(), 0.0,
                           [](double total, const Candidate& candidate) {
                               return total + static_cast<double>(candidate.weight);
                           });
}

/// Top-p keeps the shortest head whose probability reaches `top_p` of what top-k leaves, always
/// one token.
std::vector<Candidate> truncate(Row weights, double total, const SamplingOptions& options) {
    const auto top_k = static_cast<std::size_t>(options.top_k);
    if (top_k > 0 && top_k < weights.size())
        total = sum(heaviest(weights, top_k));
    const std::size_t limit = top_k > 0 ? std::min(top_k, weights.size()) : weights.size();
    for (std::size_t count = std::min<std::size_t>(limit, options.top_p < 1 ? 128 : limit);;
         count = std::min(limit, count * 8)) {
        std::vector<Candidate> head = heaviest(weights, count);
        double cumulative = 0;
        for (std::size_t i = 0; i < head.size() && options.top_p < 1; ++i) {
            cumulative += static_cast<double>(head[i].weight);
            if (cumulative >= options.top_p * total) {
                head.resize(i + 1);
                return head;
            }
        }
        if (count == limit)
            return head;
    }
}

TokenId draw_from(const std::vector<Candidate>& candidates, double uniform) {
    double target = uniform * sum(candidates);
    for (const auto& candidate : candidates) {
        if (target < static_cast<double>(candidate.weight))
            return candidate.token;
        target -= static_cast<double>(candidate.weight);
    }
    return candidates.back().token;
}

/// The logits with what the context changes in them.
std::vector<float> adjusted(Row logits, double penalty, const DrawContext& context) {
    std::vector<float> result(logits.begin(), logits.end());
    if (penalty != 1) {
        std::vector<bool> seen(logits.size(), false);
        for (const auto& tokens : {context.prompt, context.generated})
            for (TokenId token : tokens)
                seen.at(static_cast<std::size_t>(token)) = true;
        for (std::size_t i = 0; i < result.size(); ++i)
            if (seen[i])
                result[i] *= static_cast<float>(result[i] > 0 ? 1 / penalty : penalty);
    }
    for (TokenId token : context.forbidden)  // far below all others, and finite
        result.at(static_cast<std::size_t>(token)) = -1e30F;
    return result;
}

TokenId choose(Row logits, const SamplingOptions& options, double uniform) {
    const float largest = kernel::maximum(logits.data(), logits.size());
    if (options.temperature == 0)
        return static_cast<TokenId>(std::ranges::find(logits, largest) - logits.begin());
    const Exponentials exponentials(logits, largest, options.temperature);
    if (options.top_k == 0 && options.top_p >= 1 && options.min_p <= 0)
        return exponentials.draw(uniform);
    const auto weights = exponentials.weights(0, logits.size());
    std::vector<Candidate> kept = truncate(weights, exponentials.total(), options);
    std::erase_if(kept, [&](const Candidate& candidate) {  // the likeliest weighs 1
        return static_cast<double>(candidate.weight) < options.min_p;
    });
    return draw_from(kept, uniform);
}

}  // namespace

void SamplingOptions::validate() const {
    if (!(temperature == 0 || (temperature >= 1e-4 && temperature <= 100)))
        throw UsageError(
            fmt::format("temperature {} is neither 0 nor in [0.0001, 100]", temperature));
    if (top_k < 0)
        throw UsageError(fmt::format("top_k {} is below 0; 0 keeps all tokens", top_k));
    if (!(top_p > 0 && top_p <= 1))
        throw UsageError(fmt::format("top_p {} is not in (0, 1]", top_p));
    if (!(min_p >= 0 && min_p <= 1))
        throw UsageError(fmt::format("min_p {} is not in [0, 1]", min_p));
    if (!(repetition_penalty > 0 && repetition_penalty <= 100))
        throw UsageError(
            fmt::format("repetition_penalty {} is not in (0, 100]", repetition_penalty));
}

DrawnToken draw_token(Row logits, const SamplingOptions& options, double uniform,
                      const DrawContext& context) {
    const float largest = kernel::maximum(logits.data(), logits.size());
    const Exponentials model(logits, largest, 1.0);
    const double log_normalizer = static_cast<double>(largest) + std::log(model.total());
    if (!std::isfinite(log_normalizer))
        throw Error(logits_not_finite);
    const bool changes = options.repetition_penalty != 1 || !context.forbidden.empty();
    const TokenId token =
        changes ? choose(adjusted(logits, options.repetition_penalty, context), options, uniform)
                : choose(logits, options, uniform);
    return {token, static_cast<double>(logits[static_cast<std::size_t>(token)]) - log_normalizer};
}

}  // namespace popalign::lm
