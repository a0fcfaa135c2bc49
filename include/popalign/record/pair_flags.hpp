#pragma once

#include <popalign/record/instruction.hpp>
#include <popalign/record/preference_pair.hpp>
#include <popalign/record/response.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace popalign {

/// PairFlag bits of a pair, as far as the pair itself shows them (`overlap` and the `repeated` ones
/// need other texts).
std::uint32_t pair_flags(const Instruction& instruction, const Response& chosen,
                         const Response& rejected);

/// Bits of PairFlag. Throws UsageError for an unknown name, listing the known ones.
std::uint32_t flag_mask(std::span<const std::string> names);

/// The script that most letters of a text are of, if it is most of them.
enum class Script { none, latin, greek, cyrillic, hebrew, arabic, indic, thai, hangul, han };
Script main_script(std::string_view text);

}  // namespace popalign
