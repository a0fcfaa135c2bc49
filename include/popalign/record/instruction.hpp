#pragma once

#include <cstdint>
#include <string>

namespace popalign {

enum class Split : std::uint8_t { train = 0, held_out = 1 };

/// What a user asks; `source` says where it comes from (a data set, a category).
struct Instruction {
    std::string id, source, text;
    Split split = Split::train;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& id& source& text& split;
    }
    bool operator==(const Instruction&) const = default;
};

}  // namespace popalign
