#pragma once

#include <popalign/lm/backends/model_backend.hpp>

#include <memory>
#include <string>

namespace popalign::lm {

std::unique_ptr<ModelBackend> make_local_model(const ModelOptions& options);
std::unique_ptr<ModelBackend> make_endpoint_model(const EndpointOptions& options);
std::unique_ptr<ModelBackend> make_answer_file(const std::string& path);

}  // namespace popalign::lm
