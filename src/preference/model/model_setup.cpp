#include "preference/model/model_setup.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <fmt/format.h>

#include <vector>

namespace popalign::preference {
namespace {

at::ScalarType parse_dtype(const std::string& name) {
    if (name == "float32")
        return at::kFloat;
    if (name == "float64")
        return at::kDouble;
    if (name == "bfloat16")  // with float32 masters
        return at::kBFloat16;
    throw UsageError(fmt::format("dtype '{}' cannot be trained in; use float32 or bfloat16", name));
}

}  // namespace

ModelCard open_model(const comm::Communicator& comm, const lm::ModelOptions& options) {
    lm::ModelFrontEnd front_end = comm::run_on_all(comm, [&] {
        return lm::load_front_end(options.require_path("training"), options.chat_template,
                                  options.template_arguments);
    });
    lm::ModelIdentity identity = comm::run_on_all(comm, [&] {
        return comm.is_root() ? lm::identify_model(options.path, front_end) : lm::ModelIdentity{};
    });
    const auto hashes = comm::broadcast_object(
        comm, std::vector{identity.path, identity.sha256, identity.tokenizer_sha256,
                          identity.template_sha256, std::to_string(identity.parameters)});
    identity = {hashes[0], hashes[1], hashes[2], hashes[3], std::stoull(hashes[4])};
    return {std::move(front_end), std::move(identity)};
}

lm::TrainableLm load_weights(const comm::Communicator& comm, const lm::ModelOptions& options,
                             const std::string& device) {
    const int local_rank = comm.split_node().rank();
    return comm::run_on_all(comm, [&] {
        return lm::load_causal_lm(options.path, parse_dtype(options.dtype),
                                  lm::select_device(device, local_rank));
    });
}

lm::TrainableLm load_reward_weights(const comm::Communicator& comm, const lm::ModelOptions& options,
                                    const std::string& device, std::uint64_t seed) {
    const int local_rank = comm.split_node().rank();
    return comm::run_on_all(comm, [&] {
        return lm::load_reward_model(options.path, parse_dtype(options.dtype),
                                     lm::select_device(device, local_rank), seed);
    });
}

void require_same_tokenizer(const lm::ModelIdentity& policy, const lm::ModelIdentity& reference) {
    if (policy.tokenizer_sha256 != reference.tokenizer_sha256)
        throw UsageError(fmt::format(
            "{} and its reference {} have different tokenizers (their log-probabilities cannot be "
            "compared); choose a reference of the same family",
            policy.path, reference.path));
}

}  // namespace popalign::preference
