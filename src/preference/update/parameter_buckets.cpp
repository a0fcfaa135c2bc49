#include "preference/update/parameter_buckets.hpp"

#include <algorithm>
#include <limits>

namespace popalign::preference {

namespace {

/// The layer whose backward pass completes a parameter's gradient: the final norm and the head come
/// before any layer, the embedding after all.
std::optional<std::int64_t> completed_by(const lm::NamedParameter& parameter) {
    if (parameter.layer)
        return parameter.layer;
    if (parameter.name.find("embed_tokens") != std::string::npos)
        return std::nullopt;
    return std::numeric_limits<std::int64_t>::max();
}

}  // namespace

std::vector<ParameterBucket> make_buckets(std::span<const lm::NamedParameter> parameters,
                                          std::int64_t elements, int parts) {
    std::vector<ParameterBucket> buckets;
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const std::int64_t count = parameters[i].tensor.numel();
        if (buckets.empty() || buckets.back().elements + count > elements) {
            buckets.push_back({i, i, begin, 0, 0, completed_by(parameters[i])});
        }
        ParameterBucket& bucket = buckets.back();
        const auto layer = completed_by(parameters[i]);
        bucket.layer =
            bucket.layer && layer ? std::optional(std::min(*bucket.layer, *layer)) : std::nullopt;
        bucket.last = i + 1;
        bucket.elements += count;
        begin += count;
    }
    for (ParameterBucket& bucket : buckets)
        bucket.part = (bucket.elements + parts - 1) / parts;
    return buckets;
}

}  // namespace popalign::preference
