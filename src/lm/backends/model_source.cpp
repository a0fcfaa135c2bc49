#include "lm/backends/model_kinds.hpp"

#include <popalign/base/error.hpp>

#include <fmt/format.h>

namespace popalign::lm {

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

std::unique_ptr<ModelSource> make_model_source(const std::string& name,
                                               const ModelOptions& options) {
    options.validate(name);
    if (!options.endpoint.url.empty())
        return make_endpoint_model(options.endpoint);
    return options.responses.empty() ? make_local_model(options)
                                     : make_answer_file(options.responses);
}

}  // namespace popalign::lm
