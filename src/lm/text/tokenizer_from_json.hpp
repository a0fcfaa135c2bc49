#pragma once

#include "lm/text/tokenizer_tables.hpp"

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace popalign::lm {

/// Tables from a parsed tokenizer.json, whose text is `text`. Throws InputError naming `file`.
std::shared_ptr<Tokenizer::Tables> read_tokenizer(const nlohmann::json& json, std::string text,
                                                  const std::string& file);

/// Takes `bos_token` and `eos_token` of a tokenizer_config.json in `directory`, if there is one.
void read_configured_tokens(const std::filesystem::path& directory, Tokenizer::Tables& tables);

}  // namespace popalign::lm
