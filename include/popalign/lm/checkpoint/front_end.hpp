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
/// By its config.json. Throws InputError for a classifier of several labels.
bool is_reward_model(const std::filesystem::path& path);
/// Hashes every weight file; `front_end` is the model's.
ModelIdentity identify_model(const std::filesystem::path& path, const ModelFrontEnd& front_end);

}  // namespace popalign::lm
