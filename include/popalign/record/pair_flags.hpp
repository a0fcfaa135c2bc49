#pragma once

#include <popalign/record/instruction.hpp>
#include <popalign/record/preference_pair.hpp>
#include <popalign/record/response.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace popalign {

/// Returns the PairFlag bits that follow from the pair alone (`overlap` and the `repeated` flags
/// need other texts).
std::uint32_t pair_flags(const Instruction& instruction, const Response& chosen,
                         const Response& rejected);

/// Returns the PairFlag bits of `names`. Throws UsageError for an unknown name, listing the known
/// ones.
std::uint32_t flag_mask(std::span<const std::string> names);

/// Script of the majority of a text's letters; `none` if no script has a majority.
enum class Script { none, latin, greek, cyrillic, hebrew, arabic, indic, thai, hangul, han };
Script main_script(std::string_view text);

}  // namespace popalign
