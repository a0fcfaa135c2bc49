#pragma once

#include <popalign/record/instruction.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {

/// Calls `visit(line number, value)` for each line of a JSON Lines file. Blank lines are skipped;
/// lines end at '\n' only. Throws InputError with file and line for a line that is not JSON, or
/// when `visit` throws std::exception from nlohmann (a missing or mistyped member).
void read_jsonl(const std::filesystem::path& path,
                const std::function<void(std::size_t, const nlohmann::json&)>& visit);

/// Reads instructions, one JSON object per line: `{id?, instruction|prompt|text|messages,
/// source?|category?}`, or a row of HH-RLHF, whose `chosen` is used up to its last answer. A
/// missing id becomes "<file stem>-<line>". Throws InputError for repeated ids, empty texts and an
/// empty file.
std::vector<Instruction> read_instructions(const std::filesystem::path& path);

}  // namespace popalign::store
