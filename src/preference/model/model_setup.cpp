#include "preference/model/model_setup.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/reward_model.hpp>

#include <fmt/format.h>

#include <vector>

namespace popalign {
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

ModelCard open_model(const Communicator& comm, const ModelOptions& options) {
    ModelFrontEnd front_end = run_on_all(comm, [&] {
        return load_front_end(options.require_path("training"), options.chat_template,
                              options.template_arguments);
    });
    ModelIdentity identity = run_on_all(comm, [&] {
        return comm.is_root() ? identify_model(options.path, front_end) : ModelIdentity{};
    });
    const auto hashes = broadcast_object(
        comm, std::vector{identity.path, identity.sha256, identity.tokenizer_sha256,
                          identity.template_sha256, std::to_string(identity.parameters)});
    identity = {hashes[0], hashes[1], hashes[2], hashes[3], std::stoull(hashes[4])};
    return {std::move(front_end), std::move(identity)};
}

CausalLm load_weights(const Communicator& comm, const ModelOptions& options,
                      const std::string& device) {
    const int local_rank = comm.split_node().rank();
    return run_on_all(comm, [&] {
        return load_causal_lm(options.path, parse_dtype(options.dtype),
                              select_device(device, local_rank));
    });
}

CausalLm load_reward_weights(const Communicator& comm, const ModelOptions& options,
                             const std::string& device, std::uint64_t seed) {
    const int local_rank = comm.split_node().rank();
    return run_on_all(comm, [&] {
        return load_reward_model(options.path, parse_dtype(options.dtype),
                                 select_device(device, local_rank), seed);
    });
}

void require_same_tokenizer(const ModelIdentity& policy, const ModelIdentity& reference) {
    if (policy.tokenizer_sha256 != reference.tokenizer_sha256)
        throw UsageError(fmt::format(
            "{} and its reference {} have different tokenizers (their log-probabilities cannot be "
            "compared); choose a reference of the same family",
            policy.path, reference.path));
}

}  // namespace popalign
