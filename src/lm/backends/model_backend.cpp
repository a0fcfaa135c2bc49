#include "lm/backends/model_kinds.hpp"

namespace popalign::lm {

std::unique_ptr<ModelBackend> make_model_backend(const std::string& name,
                                                 const ModelOptions& options) {
    options.validate(name);
    if (!options.endpoint.url.empty())
        return make_endpoint_model(options.endpoint);
    return options.responses.empty() ? make_local_model(options)
                                     : make_answer_file(options.responses);
}

}  // namespace popalign::lm
