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

/// `load(dtype, device)` on all ranks. Collective.
template <class Load>
lm::TrainableLm load_on(const comm::Communicator& comm, const ModelCard& card,
                        const std::string& device, Load&& load) {
    const int local_rank = comm.split_node().rank();
    return comm::run_on_all(comm, [&] {
        return load(parse_dtype(card.options.dtype), lm::select_device(device, local_rank));
    });
}

}  // namespace

PolicyCard open_policy(const comm::Communicator& comm, const lm::ModelOptions& options) {
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
    const bool is_reward_model = comm::run_on_all(
        comm, [&] { return lm::is_reward_model(std::filesystem::path(options.path)); });
    return {{options, std::move(identity), is_reward_model}, std::move(front_end)};
}

ModelCard open_reference(const comm::Communicator& comm, const lm::ModelOptions& options,
                         const ModelCard& policy) {
    if (options.path.empty())
        return policy;
    ModelCard card = open_policy(comm, options);
    comm::run_on_all(comm, [&] {
        if (card.identity.tokenizer_sha256 != policy.identity.tokenizer_sha256)
            throw UsageError(fmt::format(
                "{} and its reference {} have different tokenizers (their log-probabilities "
                "cannot be compared); choose a reference of the same family",
                policy.identity.path, card.identity.path));
    });
    return card;
}

ModelCard open_scorer(const comm::Communicator& comm, const lm::ModelOptions& options,
                      const ModelCard& policy) {
    ModelCard card = open_reference(comm, options, policy);
    comm::run_on_all(comm, [&] {
        if (!card.is_reward_model)
            throw UsageError(fmt::format(
                "{} has no head for scores; make a reward model by `train` with train.objective: "
                "reward",
                card.options.path));
    });
    return card;
}

lm::TrainableLm load_weights(const comm::Communicator& comm, const ModelCard& card,
                             const std::string& device) {
    return load_on(comm, card, device, [&](at::ScalarType dtype, at::Device place) {
        return lm::load_causal_lm(card.options.path, dtype, place);
    });
}

lm::TrainableLm load_reward_weights(const comm::Communicator& comm, const ModelCard& card,
                                    const std::string& device, std::uint64_t seed) {
    return load_on(comm, card, device, [&](at::ScalarType dtype, at::Device place) {
        return lm::load_reward_model(card.options.path, dtype, place, seed);
    });
}

void add_adapters(lm::TrainableLm& model, const TrainOptions& options, std::uint64_t seed) {
    if (options.lora_rank > 0)
        model.add_adapters({options.lora_rank, options.lora_alpha, options.lora_targets, seed});
}

}  // namespace popalign::preference
