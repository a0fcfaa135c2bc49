#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace popalign::test {

/// The name of byte `value` in GPT-2's printable alphabet.
std::string printable(unsigned char value);

/// A small tokenizer.json: ids 0..255 are the bytes, then come the results of `merges` in order.
nlohmann::json tiny_tokenizer(const std::vector<std::string>& merges);

/// An entry of `added_tokens`.
nlohmann::json added_token(int id, const std::string& content, bool special);

}  // namespace popalign::test
