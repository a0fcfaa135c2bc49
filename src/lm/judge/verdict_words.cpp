#include "lm/judge/verdict_words.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace popalign::lm {
namespace {

using Replacement = std::pair<std::string_view, std::string_view>;

/// Spellings of the same sign, longest first where one begins another.
constexpr Replacement spellings[] = {
    {"&gt;", ">"}, {"&lt;", "<"}, {"&amp;", "&"}, {"［", "["},    {"］", "]"},    {"【", "["},
    {"】", "]"},   {"〔", "["},   {"〕", "]"},    {"〖", "[["},   {"〗", "]]"},   {"⟦", "[["},
    {"⟧", "]]"},   {"＞", ">"},   {"＜", "<"},    {"＝", "="},    {"≫", ">>"},    {"≪", "<<"},
    {"：", ":"},   {"。", "."},   {"，", ","},    {"！", "!"},    {"（", "("},    {"）", ")"},
    {"Ａ", "A"},   {"Ｂ", "B"},   {"Ｃ", "C"},    {"А", "A"},     {"В", "B"},     {"С", "C"},
    {"“", "\""},   {"”", "\""},   {"’", "'"},     {"\u200B", ""}, {"\uFEFF", ""}, {"\u00A0", " "},
    {"\\[", "["},  {"\\]", "]"}};

constexpr std::string_view announcements[] = {"my final verdict is",
                                              "the final verdict is",
                                              "final verdict is",
                                              "my final verdict",
                                              "final verdict",
                                              "my verdict is",
                                              "the verdict is",
                                              "verdict is",
                                              "verdict",
                                              "final answer is",
                                              "final answer",
                                              "the answer is",
                                              "answer",
                                              "my choice is",
                                              "choice",
                                              "final decision",
                                              "decision",
                                              "the winner is",
                                              "winner is",
                                              "winner",
                                              "final judgment",
                                              "final judgement",
                                              "judgment",
                                              "judgement",
                                              "conclusion",
                                              "final rating",
                                              "rating",
                                              "score",
                                              "urteil",
                                              "endurteil",
                                              "veredicto final",
                                              "veredicto",
                                              "verdict final",
                                              "verdetto finale",
                                              "最终判断",
                                              "最终裁决",
                                              "结论",
                                              "最終判定"};
}  // namespace

std::string unified(std::string_view text) {
    std::string result;
    for (std::size_t position = 0; position < text.size();) {
        const auto found = std::ranges::find_if(spellings, [&](const Replacement& replacement) {
            return text.substr(position).starts_with(replacement.first);
        });
        if (found == std::end(spellings)) {
            result += text[position++];
        } else {
            result += found->second;
            position += found->first.size();
        }
    }
    return result;
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
}

std::string_view stripped(std::string_view text, std::string_view of) {
    const auto first = text.find_first_not_of(of);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(of) - first + 1);
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        std::string_view line = text.substr(begin, end - begin);
        while (line.starts_with("> "))  // markdown's quotes
            line.remove_prefix(2);
        lines.push_back(line);
        begin = end + 1;
    }
    return lines;
}

bool denies(std::string_view text) {
    static constexpr std::string_view words[] = {
        "not",     "no",     "never", "neither", "none",    "nor",     "cannot",
        "without", "unless", "if",    "than",    "instead", "either",  "unable",
        "nicht",   "kein",   "pas",   "ni",      "non",     "unclear", "whether"};
    const std::string folded = lower(text);
    if (folded.find("n't") != std::string::npos || folded.find('?') != std::string::npos ||
        folded.find("不") != std::string::npos || folded.find("ない") != std::string::npos)
        return true;
    std::string word;
    for (const char c : folded + " ") {
        if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
            word += c;
            continue;
        }
        if (std::ranges::find(words, word) != std::end(words))
            return true;
        word.clear();
    }
    return false;
}

std::pair<std::string_view, bool> announced(std::string_view line, std::string_view around) {
    line = stripped(line, around);
    const std::string folded = lower(line);
    for (const std::string_view words : announcements) {
        if (!folded.starts_with(words) || folded.size() == words.size())
            continue;
        const std::string_view rest = line.substr(words.size());
        if (std::isalpha(static_cast<unsigned char>(rest.front())) != 0)
            continue;  // the beginning of a longer word
        return {stripped(rest, around), true};
    }
    return {line, false};
}

}  // namespace popalign::lm
