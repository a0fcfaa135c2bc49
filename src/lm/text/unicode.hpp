#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace popalign::lm {

/// The code point of valid UTF-8 at `offset`, which is moved behind it.
char32_t next_code_point(std::string_view text, std::size_t& offset);
void append_code_point(std::string& text, char32_t code_point);

/// Valid UTF-8: each maximal part of an ill-formed sequence becomes one U+FFFD (Unicode 15, D93b),
/// as Rust's from_utf8_lossy and Python's errors="replace" do.
std::string repair_utf8(std::string_view bytes);

/// Property White_Space.
bool is_white_space(char32_t code_point);
/// Python's str.isspace, by which str.strip() and Jinja's `trim` strip.
bool is_python_space(char32_t code_point);
/// Rust's char::is_numeric.
bool is_numeric(char32_t code_point);

/// Normalisation form C, with the Unicode version of HF `tokenizers`.
std::string compose_nfc(const std::string& text);

/// The same text for PCRE2's eyes: code points that it would classify otherwise than Oniguruma are
/// replaced by ones of the right class. Offsets stay the same.
std::string with_stand_ins(std::string_view text);

}  // namespace popalign::lm
