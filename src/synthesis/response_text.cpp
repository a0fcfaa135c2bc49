#include <popalign/record/preference_pair.hpp>
#include <popalign/synthesis/response_text.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

namespace popalign {
namespace {

std::string_view trim(std::string_view text) {
    constexpr std::string_view space = " \t\r\n\v\f";
    const auto begin = text.find_first_not_of(space);
    if (begin == std::string_view::npos)
        return {};
    return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

struct Label {
    std::size_t begin, end;
};

/// The first "<name>:" at a line's start, whatever its case and Markdown emphasis.
std::optional<Label> find_label(std::string_view answer, std::string_view name) {
    constexpr std::string_view decoration = " \t*#_>";
    const std::string folded = lower(answer);
    for (std::size_t at = folded.find(name); at != std::string::npos;
         at = folded.find(name, at + 1)) {
        std::size_t begin = at;
        while (begin > 0 && decoration.find(folded[begin - 1]) != std::string_view::npos)
            --begin;
        std::size_t end = at + name.size();
        while (end < folded.size() && decoration.find(folded[end]) != std::string_view::npos)
            ++end;
        if ((begin == 0 || folded[begin - 1] == '\n') && end < folded.size() &&
            folded[end] == ':') {
            ++end;
            while (end < folded.size() && folded[end] == '*')
                ++end;
            return Label{begin, end};
        }
    }
    return std::nullopt;
}

bool declines(std::string_view text) {
    static constexpr std::array<std::string_view, 12> openings{
        "i'm sorry",  "i am sorry",  "sorry, ",         "i can't ", "i cannot ", "i can not ",
        "i'm unable", "i am unable", "i'm not able to", "as an ai", "i won't ",  "i apologize"};
    std::string start;
    for (std::size_t i = 0; i < std::min<std::size_t>(text.size(), 64); ++i) {
        const bool apostrophe = text.substr(i, 3) == "\xE2\x80\x99";  // the typographic one
        start += apostrophe ? '\'' : text[i];
        i += apostrophe ? 2 : 0;
    }
    start = lower(start);
    return std::ranges::any_of(
        openings, [&](std::string_view opening) { return start.starts_with(opening); });
}

}  // namespace

ParsedText parse_answer(std::string_view answer, const std::string& parse) {
    if (parse == "plain")
        return {std::string(trim(answer)), "", true};
    const auto response = find_label(answer, "response");
    if (!response)
        return {std::string(trim(answer)), "", false};
    std::string_view thought = answer.substr(0, response->begin);
    if (const auto label = find_label(thought, "thought"))
        thought = thought.substr(label->end);
    return {std::string(trim(answer.substr(response->end))), std::string(trim(thought)), true};
}

std::uint32_t pair_flags(const Response& chosen, const Response& rejected) {
    std::uint32_t flags = 0;
    const auto set = [&](bool condition, PairFlag flag) {
        if (condition)
            flags |= static_cast<std::uint32_t>(flag);
    };
    set(chosen.text == rejected.text, PairFlag::identical);
    set(chosen.text.empty() || rejected.text.empty(), PairFlag::empty);
    set(chosen.finish_reason == FinishReason::length ||
            rejected.finish_reason == FinishReason::length,
        PairFlag::truncated);
    set(!chosen.parsed || !rejected.parsed, PairFlag::unparsed);
    set(declines(chosen.text), PairFlag::refusal);
    return flags;
}

}  // namespace popalign
