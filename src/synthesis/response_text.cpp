#include "synthesis/response_text.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

namespace popalign::synthesis {
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

/// Finds the first "<name>:" at a line's start, in any case and Markdown emphasis.
std::optional<Label> find_label(std::string_view answer, std::string_view name) {
    constexpr std::string_view decoration = " \t*#_>";
    const std::string folded = lower(answer);
    for (std::size_t found = folded.find(name); found != std::string::npos;
         found = folded.find(name, found + 1)) {
        std::size_t begin = found;
        while (begin > 0 && decoration.find(folded[begin - 1]) != std::string_view::npos)
            --begin;
        std::size_t end = found + name.size();
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

}  // namespace popalign::synthesis
