#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace popalign {

/// Why a pair may be unfit for training; bits of `PreferencePair::flags`.
enum class PairFlag : std::uint32_t {
    identical = 1,               ///< both texts are equal
    empty = 2,                   ///< a text is empty or white space
    truncated = 4,               ///< a text ended at the token limit
    unparsed = 8,                ///< a text lacks the format its template asks for
    refusal = 16,                ///< the chosen text declines to answer
    length_ratio = 32,           ///< one text is ten times as long as the other, and not short
    near_duplicate = 64,         ///< the texts are almost equal
    other_script = 128,          ///< a text is written in another script than the instruction
    overlap = 256,               ///< the instruction shares text with an evaluation set
    repeated_instruction = 512,  ///< an earlier instruction is almost equal
    repeated_answer = 1024       ///< a text is almost equal to one for an earlier instruction
};

inline constexpr std::array<std::pair<PairFlag, std::string_view>, 11> pair_flag_names{
    {{PairFlag::identical, "identical"},
     {PairFlag::empty, "empty"},
     {PairFlag::truncated, "truncated"},
     {PairFlag::unparsed, "unparsed"},
     {PairFlag::refusal, "refusal"},
     {PairFlag::length_ratio, "length_ratio"},
     {PairFlag::near_duplicate, "near_duplicate"},
     {PairFlag::other_script, "other_script"},
     {PairFlag::overlap, "overlap"},
     {PairFlag::repeated_instruction, "repeated_instruction"},
     {PairFlag::repeated_answer, "repeated_answer"}}};

/// A good and a bad answer to one instruction, by construction.
struct PreferencePair {
    std::uint64_t instruction = 0;  ///< row of /instructions
    std::uint32_t strategy = 0;     ///< row of /strategies
    std::uint64_t chosen = 0;       ///< row of /responses
    std::uint64_t rejected = 0;     ///< row of /responses
    std::uint32_t flags = 0;        ///< PairFlag bits

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& instruction& strategy& chosen& rejected& flags;
    }
    bool operator==(const PreferencePair&) const = default;
};

}  // namespace popalign
