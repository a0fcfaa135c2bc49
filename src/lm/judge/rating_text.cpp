#include "lm/judge/verdict_words.hpp"

#include <popalign/lm/judge/verdict_text.hpp>

#include <charconv>
#include <set>

namespace popalign::lm {
namespace {

constexpr std::string_view around_ratings = " \t\r\n*_`#\"':;.";

std::optional<double> rating_of(std::string_view text) {
    text = announced(stripped(text, around_ratings), around_ratings).first;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc())
        return std::nullopt;
    const auto rest = stripped({end, text.data() + text.size()}, " \t");
    const bool whole = rest.empty() || rest == "/10" || rest == "/ 10" || rest == "out of 10";
    if (!whole || !(value >= 1 && value <= 10))
        return std::nullopt;
    return value;
}

/// Returns the ratings between doubled brackets.
std::set<double> ratings_in_brackets(std::string_view text) {
    std::set<double> ratings;
    for (auto bracket = text.find("[["); bracket != std::string_view::npos;
         bracket = text.find("[[", bracket + 1)) {
        const auto end = text.find("]]", bracket + 2);
        if (end == std::string_view::npos)
            break;
        if (end - bracket > longest_label)
            continue;
        if (const auto rating = rating_of(text.substr(bracket + 2, end - bracket - 2)))
            ratings.insert(*rating);
    }
    return ratings;
}

/// Lines that a rating was announced in, or that are one in brackets.
std::set<double> ratings_in_lines(std::string_view text) {
    std::set<double> ratings;
    for (const std::string_view line : lines_of(text)) {
        auto [rest, is_announced] = announced(stripped(line, around_ratings), around_ratings);
        const bool in_brackets = rest.starts_with('[') && rest.ends_with(']');
        if (in_brackets)
            rest = stripped(rest, "[]");
        if (is_announced || in_brackets)
            if (const auto rating = rating_of(rest))
                ratings.insert(*rating);
    }
    return ratings;
}

}  // namespace

std::optional<double> parse_rating(std::string_view raw) {
    const std::string text = unified(raw);
    std::set<double> ratings = ratings_in_brackets(text);
    if (ratings.empty())
        ratings = ratings_in_lines(text);
    return ratings.size() == 1 ? std::optional(*ratings.begin()) : std::nullopt;
}

}  // namespace popalign::lm
