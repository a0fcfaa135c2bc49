#pragma once

#include "preference/data/pair_data.hpp"

#include <popalign/comm/communicator.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace popalign::preference {

/// The selected instructions of a pair file, the same on all ranks. Texts are read on demand.
struct PromptData {
    std::vector<std::uint64_t> rows;  ///< of /instructions, ascending
    std::string digest;               ///< hash of all tokens
    std::function<std::vector<TokenId>(std::size_t item)> prompt;

    std::size_t size() const noexcept { return rows.size(); }
};

/// Opens the instructions. Only the split and the limit of `selection` are used. Prompts longer
/// than `max_prompt_length` lose their beginning. Collective.
PromptData open_prompt_data(const comm::Communicator& comm, const std::filesystem::path& path,
                            const lm::ModelFrontEnd& front_end, const PairSelection& selection,
                            std::int64_t max_prompt_length);

}  // namespace popalign::preference
