#include "preference/update/parameter_buckets.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>

namespace popalign::preference {

std::optional<std::int64_t> layer_of(const std::string& parameter) {
    constexpr std::string_view prefix = "model.layers.";
    std::int64_t layer = 0;
    if (!parameter.starts_with(prefix))
        return std::nullopt;
    const char* const end = parameter.data() + parameter.size();
    const auto parsed = std::from_chars(parameter.data() + prefix.size(), end, layer);
    return parsed.ec == std::errc() ? std::optional(layer) : std::nullopt;
}

namespace {

/// The layer whose backward pass completes a parameter's gradient: the final norm and the head come
/// before any layer, the embedding after all.
std::optional<std::int64_t> completed_by(const std::string& parameter) {
    if (const auto layer = layer_of(parameter))
        return layer;
    if (parameter.find("embed_tokens") != std::string::npos)
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
            buckets.push_back({i, i, begin, 0, 0, completed_by(parameters[i].name)});
        }
        ParameterBucket& bucket = buckets.back();
        const auto layer = completed_by(parameters[i].name);
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
