#include <popalign/base/error.hpp>
#include <popalign/lm/backends/model_options.hpp>

#include <fmt/format.h>

#include <string_view>

namespace popalign::lm {

void EndpointOptions::validate(const std::string& name) const {
    const auto fail = [&](std::string_view problem) {
        throw UsageError(fmt::format("models.{}: {}", name, problem));
    };
    if (!url.starts_with("http://") && !url.starts_with("https://"))
        fail(fmt::format("the url '{}' does not begin with http:// or https://", url));
    if (url.find('@') != url.npos || url.find('?') != url.npos)
        fail("no user, key or query belongs into the url; keys come from api_key_env");
    if (model.empty())
        fail("an endpoint needs `model`, the server's name for it");
    if (prefill != "none" && prefill != "continue" && prefill != "last_message")
        fail(fmt::format("prefill '{}' is not none, continue or last_message", prefill));
    if (length_field != "max_tokens" && length_field != "max_completion_tokens")
        fail(fmt::format("length_field '{}' is not max_tokens or max_completion_tokens",
                         length_field));
    if (requests_in_flight < 1 || requests_per_minute < 0 || tokens_per_minute < 0 || retries < 0 ||
        top_logprobs < 0 || !(timeout >= 0.001 && timeout <= 86400) ||
        !(backoff >= 0 && backoff <= 60) || !(prompt_price >= 0) || !(completion_price >= 0))
        fail(
            "requests_in_flight must be at least 1, timeout between 0.001 and 86400 s, backoff "
            "between 0 and 60 s, and no limit or price negative");
}

void ModelOptions::validate(const std::string& name) const {
    const int kinds =
        (path.empty() ? 0 : 1) + (endpoint.url.empty() ? 0 : 1) + (responses.empty() ? 0 : 1);
    if (kinds != 1)
        throw UsageError(
            fmt::format("models.{}: give exactly one of path, url and responses", name));
    if (dtype != "float32" && dtype != "bfloat16")
        throw UsageError(
            fmt::format("models.{}: dtype '{}' is not float32 or bfloat16", name, dtype));
    if (!endpoint.url.empty())
        endpoint.validate(name);
}

const std::string& ModelOptions::require_path(const std::string& purpose) const {
    if (path.empty())
        throw UsageError(
            fmt::format("{} needs a model with a path: its weights must be here", purpose));
    return path;
}

}  // namespace popalign::lm
