#include "lm/judge/verdict_words.hpp"

#include <popalign/lm/judge/verdict_text.hpp>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace popalign::lm {
namespace {

/// `B << A` as `A>>B`; anything else without white space.
std::string canonical(std::string_view text) {
    std::string packed;
    for (char c : text)
        if (std::isspace(static_cast<unsigned char>(c)) == 0)
            packed += c;
    const auto open = packed.find_first_of("<>=");
    const auto close = packed.find_last_of("<>=");
    if (open == std::string::npos || open == 0 || close + 1 == packed.size())
        return packed;
    std::string left = packed.substr(0, open), relation = packed.substr(open, close - open + 1),
                right = packed.substr(close + 1);
    if (relation.find_first_not_of('<') == std::string::npos) {
        std::swap(left, right);
        std::ranges::fill(relation, '>');
    } else if (relation == "=" && right < left) {
        std::swap(left, right);
    }
    return left + relation + right;
}

class Labels {
  public:
    explicit Labels(std::span<const std::string> labels) {
        std::set<std::string> folded;
        for (const std::string& label : labels)
            folded.insert(lower(label));
        fold_ = folded.size() == labels.size();
        for (const std::string& label : labels)
            keys_.push_back(key(label));
    }
    std::optional<std::size_t> find(std::string_view text) const {
        const auto found = std::ranges::find(keys_, key(text));
        if (found == keys_.end())
            return std::nullopt;
        return static_cast<std::size_t>(found - keys_.begin());
    }

  private:
    std::string key(std::string_view text) const {
        const std::string plain = canonical(text);
        return fold_ ? canonical(lower(plain)) : plain;
    }
    bool fold_ = true;
    std::vector<std::string> keys_;
};

/// Result of one search: nothing, one label, or a reason why the text is unusable.
struct Finding {
    std::set<std::size_t> labels;
    bool denied = false;

    bool empty() const { return labels.empty() && !denied; }
    ParsedVerdict verdict() const {
        if (denied || labels.size() != 1)
            return {};
        return {TextVerdict::label, *labels.begin()};
    }
};

/// Labels between `open` and `close`; those that follow a denial in their line make it unusable.
Finding in_brackets(std::string_view text, const Labels& labels, std::string_view open,
                    std::string_view close) {
    constexpr std::size_t words_before = 24;  // [bytes] that may deny what follows
    Finding finding;
    for (const std::string_view line : lines_of(text))
        for (auto bracket = line.find(open); bracket != std::string_view::npos;
             bracket = line.find(open, bracket + 1)) {
            const auto begin = bracket + open.size();
            const auto end = line.find(close, begin);
            if (end == std::string_view::npos)
                break;
            if (end - begin > longest_label)
                continue;
            const auto inside = stripped(line.substr(begin, end - begin), decoration);
            if (const auto label = labels.find(inside)) {
                finding.labels.insert(*label);
                const auto from = bracket > words_before ? bracket - words_before : 0;
                finding.denied |= denies(line.substr(from, bracket - from));
            }
        }
    return finding;
}

constexpr std::string_view nouns[] = {"assistant ", "response ",  "answer ", "model ",
                                      "option ",    "candidate ", "output "};
constexpr std::string_view endings[] = {" is better", " is the better one", " wins",
                                        " is the winner", " is the best"};

/// Lines that are a label and nothing else but decoration, or a word that announces it.
Finding in_lines(std::string_view text, const Labels& labels) {
    Finding finding;
    for (const std::string_view line : lines_of(text)) {
        auto [rest, is_announced] = announced(line);
        std::vector<std::string_view> forms{rest, stripped(rest, "()[]{}$ *")};
        for (const std::string_view ending : endings)
            if (lower(rest).ends_with(ending))
                forms.push_back(rest.substr(0, rest.size() - ending.size()));
        for (std::size_t i = 0, n = forms.size(); i < n; ++i)
            for (const std::string_view noun : nouns)
                if (lower(forms[i]).starts_with(noun))
                    forms.push_back(stripped(forms[i].substr(noun.size()), decoration));
        for (const std::string_view form : forms)
            if (const auto label = labels.find(form))
                finding.labels.insert(*label);
    }
    return finding;
}

bool is_sign(char c) {
    return c == '<' || c == '>' || c == '=';
}

/// The line with no white space around signs: `A > B` becomes one word.
std::string packed_relations(std::string_view line) {
    std::string packed;
    bool space = false;
    for (const char c : line) {
        if (c == ' ' || c == '\t') {
            space = true;
            continue;
        }
        if (space && !packed.empty() && !is_sign(c) && !is_sign(packed.back()))
            packed += ' ';
        space = false;
        packed += c;
    }
    return packed;
}

/// Relations such as A>B in running text.
Finding as_relation(std::string_view text, const Labels& labels) {
    Finding finding;
    const auto is_word = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || is_sign(c);
    };
    for (const std::string_view line : lines_of(text)) {
        const std::string packed = packed_relations(line);
        for (std::size_t begin = 0; begin < packed.size();) {
            if (!is_word(packed[begin])) {
                ++begin;
                continue;
            }
            std::size_t end = begin;
            while (end < packed.size() && is_word(packed[end]))
                ++end;
            const std::string_view word = std::string_view(packed).substr(begin, end - begin);
            begin = end;
            if (word.find_first_of("<>=") == std::string_view::npos)
                continue;
            if (const auto label = labels.find(word)) {
                finding.labels.insert(*label);
                finding.denied |= denies(line);
            }
        }
    }
    return finding;
}

bool abstains(std::string_view text) {
    static constexpr std::string_view words[] = {"neither",
                                                 "none",
                                                 "n/a",
                                                 "abstain",
                                                 "i abstain",
                                                 "cannot decide",
                                                 "i cannot decide",
                                                 "unable to decide",
                                                 "no verdict",
                                                 "no winner",
                                                 "neither is better",
                                                 "undecided"};
    std::size_t lines = 0;
    bool found = false;
    for (const std::string_view line : lines_of(text)) {
        const auto rest = stripped(announced(line).first, "[]() *_`\"'.!");
        lines += rest.empty() ? 0 : 1;
        found |= std::ranges::find(words, lower(rest)) != std::end(words);
    }
    return found && lines == 1;
}

}  // namespace

ParsedVerdict parse_verdict(std::string_view raw, std::span<const std::string> labels) {
    const std::string text = unified(raw);
    const Labels known(labels);
    for (const auto& [open, close] : {std::pair{"[[", "]]"}, std::pair{"[", "]"}})
        if (const Finding finding = in_brackets(text, known, open, close); !finding.empty())
            return finding.verdict();
    if (const Finding finding = in_lines(text, known); !finding.empty())
        return finding.verdict();
    if (const Finding finding = as_relation(text, known); !finding.empty())
        return finding.verdict();
    return {abstains(text) ? TextVerdict::abstained : TextVerdict::unparsed, 0};
}

}  // namespace popalign::lm
