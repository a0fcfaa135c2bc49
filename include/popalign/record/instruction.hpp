#pragma once

#include <popalign/record/message.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign {

enum class Split : std::uint8_t { train = 0, held_out = 1 };

/// A user's request. `source` names its origin (a data set, a category).
struct Instruction {
    std::string id, source, text;
    Split split = Split::train;
    std::vector<Message> context = {};  ///< earlier turns of the dialogue

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& id& source& text& split& context;
    }
    bool operator==(const Instruction&) const = default;
};

/// Returns the whole dialogue as text, for judges; the instruction alone if there are no earlier
/// turns.
std::string as_transcript(const Instruction& instruction);

}  // namespace popalign
