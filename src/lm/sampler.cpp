#include <popalign/base/error.hpp>
#include <popalign/lm/generator.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace popalign {
namespace {

struct Candidate {
    float weight;
    TokenId token;
    bool operator<(const Candidate& other) const {  // heavier first, then lower id
        return weight > other.weight || (weight == other.weight && token < other.token);
    }
};

double sum(std::span<const float> weights) {
    // Several accumulators, so that additions need not wait for each other.
    std::array<double, 8> partial{};
    std::size_t i = 0;
    for (; i + partial.size() <= weights.size(); i += partial.size())
        for (std::size_t lane = 0; lane < partial.size(); ++lane)
            partial[lane] += static_cast<double>(weights[i + lane]);
    double total = std::accumulate(partial.begin(), partial.end(), 0.0);
    for (; i < weights.size(); ++i)
        total += static_cast<double>(weights[i]);
    return total;
}

TokenId draw_from_all(std::span<const float> weights, double uniform) {
    constexpr std::size_t block = 512;
    std::vector<double> blocks;
    for (std::size_t at = 0; at < weights.size(); at += block)
        blocks.push_back(sum(weights.subspan(at, std::min(block, weights.size() - at))));
    double target = uniform * std::accumulate(blocks.begin(), blocks.end(), 0.0);
    std::size_t b = 0;
    while (b + 1 < blocks.size() && target >= blocks[b])
        target -= blocks[b++];
    std::size_t chosen = weights.size(), last_possible = 0;
    for (std::size_t i = b * block; i < weights.size(); ++i) {
        const auto weight = static_cast<double>(weights[i]);
        if (weight > 0)
            last_possible = i;
        if (target < weight) {
            chosen = i;
            break;
        }
        target -= weight;
    }
    // Rounding may carry the target past the end: the last token that can be drawn takes it.
    return static_cast<TokenId>(chosen < weights.size() ? chosen : last_possible);
}

/// The heaviest candidates in order: at least `count`, or all.
std::vector<Candidate> heaviest(std::span<const float> weights, std::size_t count) {
    std::vector<Candidate> all;
    all.reserve(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i)
        all.push_back({weights[i], static_cast<TokenId>(i)});
    count = std::min(count, all.size());
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(all.begin(), middle, all.end());
    all.erase(middle, all.end());
    return all;
}

/// Top-p keeps the shortest head whose probability reaches `top_p`, always one token.
std::vector<Candidate> truncate(std::span<const float> weights, const SamplingOptions& options) {
    const std::size_t limit =
        options.top_k > 0 ? static_cast<std::size_t>(options.top_k) : weights.size();
    std::vector<Candidate> head;
    for (std::size_t count = std::min<std::size_t>(limit, options.top_p < 1.0 ? 128 : limit);;
         count = std::min(limit, count * 8)) {
        head = heaviest(weights, count);
        const bool complete = count >= limit || head.size() == weights.size();
        double total = 0;  // of what top-k leaves, which top-p is a share of
        if (options.top_k > 0)
            for (const auto& candidate : complete ? head : heaviest(weights, limit))
                total += static_cast<double>(candidate.weight);
        else
            total = sum(weights);
        double cumulative = 0;
        for (std::size_t i = 0; i < head.size(); ++i) {
            cumulative += static_cast<double>(head[i].weight);
            if (cumulative >= options.top_p * total) {
                head.resize(i + 1);
                return head;
            }
        }
        if (complete)
            return head;
    }
}

}  // namespace

void SamplingOptions::validate() const {
    if (temperature < 0 || temperature > 100)
        throw UsageError(fmt::format("temperature {} is not in [0, 100]", temperature));
    if (top_k < 0)
        throw UsageError(fmt::format("top_k {} is below 0; 0 keeps all tokens", top_k));
    if (!(top_p > 0 && top_p <= 1))
        throw UsageError(fmt::format("top_p {} is not in (0, 1]", top_p));
}

TokenId draw_token(std::span<const float> weights, const SamplingOptions& options, double uniform) {
    if (options.temperature == 0)
        return static_cast<TokenId>(std::max_element(weights.begin(), weights.end()) -
                                    weights.begin());
    if (options.top_k == 0 && options.top_p >= 1.0)
        return draw_from_all(weights, uniform);
    const std::vector<Candidate> kept = truncate(weights, options);
    double total = 0;
    for (const auto& candidate : kept)
        total += static_cast<double>(candidate.weight);
    double target = uniform * total;
    for (const auto& candidate : kept) {
        if (target < static_cast<double>(candidate.weight))
            return candidate.token;
        target -= static_cast<double>(candidate.weight);
    }
    return kept.back().token;
}

}  // namespace popalign
