#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/record/token.hpp>

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::app {

/// Writes the ranks' texts behind each other, in rank order, as one file that appears when
/// complete. Each rank writes its own part. Collective.
void write_in_rank_order(const comm::Communicator& comm, const std::filesystem::path& path,
                         std::string_view mine);

/// A row of `generate` and `score`: `prompt` (plain text) or `messages` (a dialogue for the chat
/// template), as text and as ids.
struct PromptRow {
    std::string id, text;
    std::vector<TokenId> tokens;
};

/// `line` numbers rows without an id. Throws InputError naming `file` and `line`.
PromptRow read_prompt_row(const nlohmann::json& row, const lm::ModelFrontEnd& front_end,
                          const std::string& model, const std::string& file, std::size_t line);

}  // namespace popalign::app
