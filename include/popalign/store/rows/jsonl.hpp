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

/// Calls `visit(line number, value)` for each line of a JSON Lines file; blank lines are passed
/// over; lines end at '\n' only. Throws InputError with file and line for a line that is not JSON,
/// or when `visit` throws std::exception from nlohmann (a missing or mistyped member).
void read_jsonl(const std::filesystem::path& path,
                const std::function<void(std::size_t, const nlohmann::json&)>& visit);

/// `{id?, instruction|prompt|text|messages, source?|category?}` a line, or HH-RLHF's rows, whose
/// `chosen` is asked up to its last answer; an absent id becomes "<file stem>-<line>". Throws
/// InputError for repeated ids, empty texts and an empty file.
std::vector<Instruction> read_instructions(const std::filesystem::path& path);

}  // namespace popalign::store
