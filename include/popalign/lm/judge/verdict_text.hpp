#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace popalign::lm {

/// What a judge's words say. Nothing is guessed: a text that does not say exactly one label in a
/// form below, that names two, or that denies the one it names, is unparsed.
///
///   [[A>B]]  [A>B]  【A>B】        in brackets, doubled ones before single ones
///   **Final verdict:** A>B        a line of its own, or behind a word that announces a verdict
///   A>B                           a relation (B<A is the same) that nothing in its line denies
///
/// Widths, HTML's &gt;, markdown around the label and, unless two labels differ in it alone, case
/// do not matter.
enum class TextVerdict { label, abstained, unparsed };

struct ParsedVerdict {
    TextVerdict kind = TextVerdict::unparsed;
    std::size_t label = 0;  ///< place among the labels, if `kind` says so
};

ParsedVerdict parse_verdict(std::string_view text, std::span<const std::string> labels);

/// A rating from 1 to 10: `[[7]]`, `[7]`, `[[7/10]]` or `Rating: 7/10` alone in a line. Nothing if
/// there is none, or different ones.
std::optional<double> parse_rating(std::string_view text);

}  // namespace popalign::lm
