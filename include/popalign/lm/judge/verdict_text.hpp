#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace popalign::lm {

/// Kind of verdict in a judge's text. Nothing is guessed: a text is unparsed unless it names
/// exactly one label in a form below and does not deny it.
///
///   [[A>B]]  [A>B]  【A>B】        in brackets, doubled ones before single ones
///   **Final verdict:** A>B        a line of its own, or after a word that announces a verdict
///   A>B                           a relation (B<A is the same) that nothing in its line denies
///
/// Widths, HTML's &gt;, markdown around the label and, unless two labels differ in it alone, case
/// do not matter.
enum class TextVerdict { label, abstained, unparsed };

struct ParsedVerdict {
    TextVerdict kind = TextVerdict::unparsed;
    std::size_t label = 0;  ///< index among the labels, if `kind` is `label`
};

ParsedVerdict parse_verdict(std::string_view text, std::span<const std::string> labels);

/// Returns a rating from 1 to 10: `[[7]]`, `[7]`, `[[7/10]]` or `Rating: 7/10` alone in a line.
/// Returns nothing if there is none, or if ratings differ.
std::optional<double> parse_rating(std::string_view text);

}  // namespace popalign::lm
