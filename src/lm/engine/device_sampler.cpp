#include "lm/engine/device_sampler.hpp"

#include <popalign/base/error.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace popalign::lm {
namespace {

at::Tensor without(const at::Tensor& logits, std::span<const TokenId> tokens,
                   const std::vector<std::int64_t>& rows) {
    if (tokens.empty() || std::ranges::count(rows, 1) == 0)
        return logits;
    const at::Tensor columns =
        at::tensor(std::vector<std::int64_t>(tokens.begin(), tokens.end())).to(logits.device());
    const at::Tensor hides = at::tensor(rows).to(logits.device(), at::kBool).unsqueeze(1);
    const at::Tensor result = logits.clone();
    result.index_copy_(1, columns, logits.index_select(1, columns).masked_fill(hides, -1e30));
    return result;
}

/// By inversion of the cumulative distribution, in float64: its steps at the end are small.
at::Tensor invert(const at::Tensor& logits, double temperature, const at::Tensor& uniforms) {
    const at::Tensor weights = ((logits - logits.amax(1, true)) / temperature).exp_();
    const at::Tensor cumulative = weights.cumsum(1, at::kDouble);
    const at::Tensor total = cumulative.slice(1, logits.size(1) - 1).contiguous();
    // Rounding may carry the target past the end: the last token that can be drawn takes it.
    const at::Tensor last = at::searchsorted(cumulative, total).clamp_max_(logits.size(1) - 1);
    return at::minimum(at::searchsorted(cumulative, uniforms.unsqueeze(1) * total,
                                        /*out_int32=*/false, /*right=*/true),
                       last)
        .squeeze(1);
}

}  // namespace

bool draws_in_batches(const SamplingOptions& options) {
    return options.top_k == 0 && options.top_p >= 1 && options.min_p <= 0 &&
           options.repetition_penalty == 1;
}

std::vector<DrawnToken> draw_tokens(const at::Tensor& raw, const SamplingOptions& options,
                                    const std::vector<double>& uniforms,
                                    std::span<const TokenId> forbidden,
                                    const std::vector<std::int64_t>& forbids) {
    const at::Tensor logits = raw.to(at::kFloat), allowed = without(logits, forbidden, forbids);
    const at::Tensor tokens =
        options.temperature == 0
            ? allowed.argmax(1)
            : invert(allowed, options.temperature, at::tensor(uniforms).to(logits.device()));
    const at::Tensor log_probabilities =
        logits.gather(1, tokens.unsqueeze(1)).squeeze(1) - logits.logsumexp(1);
    const at::Tensor both =
        at::stack({tokens.to(at::kDouble), log_probabilities.to(at::kDouble)}, 1).cpu();
    std::vector<DrawnToken> drawn;
    for (std::int64_t row = 0; row < both.size(0); ++row) {
        const double* const found = both.data_ptr<double>() + 2 * row;
        if (!std::isfinite(found[1]))
            throw Error(logits_not_finite);
        drawn.push_back({static_cast<TokenId>(found[0]), found[1]});
    }
    return drawn;
}

}  // namespace popalign::lm
