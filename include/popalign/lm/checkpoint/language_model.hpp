#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/text/chat_template.hpp>
#include <popalign/lm/text/tokenizer.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace popalign::lm {

/// Everything needed to talk to a model but its weights.
struct ModelFrontEnd {
    Tokenizer tokenizer;
    std::optional<ChatTemplate>
        chat;  ///< absent where the model brings none and none is configured
    /// Tokens that end an answer: the model's EOS and the template's end of turn.
    std::vector<TokenId> stop_tokens;
    /// Throws UsageError naming the model if there is no chat template.
    const ChatTemplate& require_chat(const std::string& model) const;
};

/// Reads no weights. `chat_template`, a name, overrides the model's own. Throws InputError, e.g.
/// "no such model".
ModelFrontEnd load_front_end(const std::filesystem::path& path,
                             const std::string& chat_template = "",
                             const std::map<std::string, std::string>& template_arguments = {});
ModelConfig load_model_config(const std::filesystem::path& path);
/// Hashes every weight file; `front_end` is the model's.
ModelIdentity identify_model(const std::filesystem::path& path, const ModelFrontEnd& front_end);

/// Weights of an HF directory or a GGUF file, converted to `dtype` on `device`. Throws InputError
/// for missing, misshapen or unsupported tensors, by name.
CausalLm load_causal_lm(const std::filesystem::path& path, at::ScalarType dtype, at::Device device);
/// The same, packed: it can answer and score, but not be trained or saved. On a CPU the ranks of
/// `node` (`Communicator::split_node`) load it together and share one copy of the weights. With
/// `parallel`, a group of ranks of one node, each rank reads its slice alone. Collective over
/// `node`.
CausalLm load_for_inference(const std::filesystem::path& path, at::ScalarType dtype,
                            at::Device device, const comm::Communicator& node = {},
                            const TensorParallel& parallel = {});

/// An HF directory that `transformers` loads as it is: model.safetensors, config.json,
/// generation_config.json, tokenizer.json, tokenizer_config.json with the chat template. Appears
/// under its name only when complete.
void save_hf_model(const std::filesystem::path& directory, const CausalLm& model,
                   const ModelFrontEnd& front_end, const std::string& provenance);

/// "auto" is the CPU, or this rank's GPU (`local_rank` modulo their number) where there are any.
at::Device select_device(const std::string& name, int local_rank);

}  // namespace popalign::lm
