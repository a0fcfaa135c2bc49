#pragma once

#include "lm/tokenizer_tables.hpp"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>

namespace popalign {

/// Tables from a parsed tokenizer.json, whose text is `text`. Throws InputError naming `file`.
std::shared_ptr<Tokenizer::Tables> read_tokenizer(const nlohmann::json& json, std::string text,
                                                  const std::string& file);

}  // namespace popalign
