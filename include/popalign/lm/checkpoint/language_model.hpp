#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/lm/transformer/tensor_parallel.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <filesystem>
#include <string>

namespace popalign::lm {

/// Loads the weights of an HF directory or a GGUF file, converted to `dtype`, to `device`. Throws
/// InputError for missing, misshapen or unsupported tensors, by name.
TrainableLm load_causal_lm(const std::filesystem::path& path, at::ScalarType dtype,
                           at::Device device);
/// Loads a model for inference: it can answer and score, but not be trained or saved. On a CPU the
/// ranks of `node` (`Communicator::split_node`) load it together and share one copy of the weights.
/// With `parallel`, a group of ranks of one node, each rank reads only its own slice. Collective
/// over `node`.
CausalLm load_for_inference(const std::filesystem::path& path, at::ScalarType dtype,
                            at::Device device, const comm::Communicator& node = {},
                            const TensorParallel& parallel = {});

/// Loads a reward model, or any other model with a new reward head drawn from `seed`. Throws
/// InputError as `load_causal_lm`.
TrainableLm load_reward_model(const std::filesystem::path& path, at::ScalarType dtype,
                              at::Device device, std::uint64_t seed = 0);

/// Saves an HF directory that `transformers` loads unchanged: model.safetensors, config.json,
/// generation_config.json, tokenizer.json, tokenizer_config.json with the chat template. The
/// directory appears under its name only when it is complete.
void save_hf_model(const std::filesystem::path& directory, const TrainableLm& model,
                   const ModelFrontEnd& front_end, const std::string& provenance);

/// Returns the device of a name. "auto" is this rank's GPU (`local_rank` modulo their number), or
/// the CPU if there is no GPU.
at::Device select_device(const std::string& name, int local_rank);

}  // namespace popalign::lm
