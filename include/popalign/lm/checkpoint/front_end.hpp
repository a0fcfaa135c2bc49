#pragma once

#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/text/chat_template.hpp>
#include <popalign/lm/text/tokenizer.hpp>
#include <popalign/lm/transformer/model_config.hpp>
#include <popalign/record/token.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace popalign::lm {

/// Everything needed to use a model, except its weights.
struct ModelFrontEnd {
    Tokenizer tokenizer;
    std::optional<ChatTemplate> chat;  ///< absent if neither the model nor the config has one
    /// Tokens that end an answer: the model's EOS and the template's end of turn.
    std::vector<TokenId> stop_tokens;
    /// Throws UsageError naming the model if there is no chat template.
    const ChatTemplate& require_chat(const std::string& model) const;
};

/// Loads the front end; reads no weights. `chat_template`, a name, replaces the model's own
/// template. Throws InputError, e.g. "no such model".
ModelFrontEnd load_front_end(const std::filesystem::path& path,
                             const std::string& chat_template = "",
                             const std::map<std::string, std::string>& template_arguments = {});
ModelConfig load_model_config(const std::filesystem::path& path);
/// Returns whether config.json describes a reward model. Throws InputError for a classifier with
/// several labels.
bool is_reward_model(const std::filesystem::path& path);
/// Returns the identity of a model; hashes every weight file. `front_end` is the model's.
ModelIdentity identify_model(const std::filesystem::path& path, const ModelFrontEnd& front_end);

}  // namespace popalign::lm
