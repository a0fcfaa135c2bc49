#pragma once

#include <popalign/record/preference_pair.hpp>

#include <string>
#include <string_view>

namespace popalign::store::pair_layout {

// Format version 1: names of groups and columns, shared by the writer and the reader.
inline constexpr std::string_view format = "popalign.pairs";
inline constexpr int format_version = 1;

// Meanings of the numbers of a column, stored as its attribute `meaning`.
inline constexpr std::string_view split_meaning = R"({"0": "train", "1": "held_out"})";
inline constexpr std::string_view finish_meaning = R"({"0": "stop", "1": "length"})";
inline constexpr std::string_view order_meaning = R"({"0": "chosen_first", "1": "rejected_first"})";
inline constexpr std::string_view label_meaning = R"({"0": "rejected", "1": "chosen", "2": "tie"})";

inline std::string flags_meaning() {
    std::string text;
    for (const auto& [flag, name] : pair_flag_names)
        text += (text.empty() ? "{\"" : ", \"") + std::to_string(static_cast<unsigned>(flag)) +
                "\": \"" + std::string(name) + "\"";
    return text + "}";
}

}  // namespace popalign::store::pair_layout
