#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace popalign::lm {

inline constexpr std::size_t longest_label = 64;  ///< [bytes] in brackets
inline constexpr std::string_view decoration = " \t\r\n*_`#\"'~|-.!,:;";

/// One spelling for what widths, markdown and HTML write in several ways: `＞` and `&gt;` become
/// `>`, `【` becomes `[`.
std::string unified(std::string_view text);
/// In ASCII.
std::string lower(std::string_view text);
/// Without the characters `of` at its ends.
std::string_view stripped(std::string_view text, std::string_view of);
/// Without markdown's marks of quotes.
std::vector<std::string_view> lines_of(std::string_view text);
/// Whether the words say no, or leave it open.
bool denies(std::string_view text);
/// The line without the word that announces a verdict, and whether there was one. `around` is
/// taken off both ends of line and rest.
std::pair<std::string_view, bool> announced(std::string_view line,
                                            std::string_view around = " \t\r\n*_`#\"'~|-.!,:;=$");

}  // namespace popalign::lm
