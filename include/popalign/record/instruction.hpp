#pragma once

#include <popalign/record/message.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign {

enum class Split : std::uint8_t { train = 0, held_out = 1 };

/// What a user asks; `source` says where it comes from (a data set, a category).
struct Instruction {
    std::string id, source, text;
    Split split = Split::train;
    std::vector<Message> context = {};  ///< the turns before, in a longer dialogue

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& id& source& text& split& context;
    }
    bool operator==(const Instruction&) const = default;
};

/// The whole dialogue as text, for judges; the instruction alone where nothing goes before it.
std::string as_transcript(const Instruction& instruction);

}  // namespace popalign
