#include "lm/pre_tokenizer.hpp"

#include "lm/unicode.hpp"

#include <popalign/base/error.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <string>

namespace popalign {
namespace {

constexpr const char* gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace

PreTokenizer::PreTokenizer(const nlohmann::json& description) {
    add_step(description, 0);
    if (!byte_level_)
        throw UsageError("a pre-tokenizer that does not end with ByteLevel is not supported");
}

void PreTokenizer::add_step(const nlohmann::json& description, int depth) {
    if (depth > 4)
        throw UsageError("pre-tokenizers are nested too deeply");
    if (byte_level_)
        throw UsageError("a pre-tokenizer after ByteLevel is not supported");
    const auto type = description.at("type").get<std::string>();
    if (type == "Sequence") {
        for (const auto& step : description.at("pretokenizers"))
            add_step(step, depth + 1);
    } else if (type == "Digits") {
        steps_.emplace_back(Digits{description.value("individual_digits", false)});
    } else if (type == "Split") {
        add_split(description);
    } else if (type == "ByteLevel") {
        if (description.at("add_prefix_space").get<bool>())
            throw UsageError("ByteLevel with add_prefix_space is not supported");
        if (description.value("use_regex", true))
            steps_.emplace_back(Split{SplitRegex(gpt2_pattern), true, true});
        byte_level_ = true;
    } else {
        throw UsageError(fmt::format("pre-tokenizer '{}' is not supported", type));
    }
}

void PreTokenizer::add_split(const nlohmann::json& description) {
    const auto& pattern = description.at("pattern");
    if (!pattern.contains("Regex"))
        throw UsageError("pre-tokenizer 'Split' by anything but a Regex is not supported");
    const auto behavior = description.at("behavior").get<std::string>();
    const bool invert = description.at("invert").get<bool>();
    if (behavior != "Isolated" && behavior != "Removed")
        throw UsageError(
            fmt::format("pre-tokenizer 'Split' with behavior '{}' is not supported", behavior));
    const bool isolated = behavior == "Isolated";
    steps_.emplace_back(Split{SplitRegex(pattern.at("Regex").get<std::string>()),
                              isolated || invert, isolated || !invert});
}

void PreTokenizer::apply(const Digits& step, std::string_view text, std::string_view,
                         std::size_t begin, std::vector<TextRange>& pieces) {
    bool in_digits = false;
    std::size_t piece_begin = 0;
    for (std::size_t offset = 0; offset < text.size();) {
        const std::size_t at = offset;
        const bool digit = is_numeric(next_code_point(text, offset));
        const bool cut = digit != in_digits || (digit && step.individual);
        if (cut && piece_begin < at) {
            pieces.push_back({begin + piece_begin, begin + at});
            piece_begin = at;
        }
        in_digits = digit;
    }
    if (piece_begin < text.size())
        pieces.push_back({begin + piece_begin, begin + text.size()});
}

void PreTokenizer::apply(const Split& step, std::string_view text, std::string_view subject,
                         std::size_t begin, std::vector<TextRange>& pieces) {
    std::size_t done = 0;
    const auto add = [&](std::size_t from, std::size_t to, bool keep) {
        if (keep && from < to)
            pieces.push_back({begin + from, begin + to});
    };
    for (const TextRange match : step.regex.matches(subject)) {
        add(done, match.begin, step.keep_others);
        add(match.begin, match.end, step.keep_matches);
        done = match.end;
    }
    add(done, text.size(), step.keep_others);
}

std::vector<std::string_view> PreTokenizer::split(std::string_view text) const {
    const std::string all_stand_ins = with_stand_ins(text);
    const std::string_view subject = all_stand_ins;
    std::vector<TextRange> pieces{{0, text.size()}}, next;
    for (const auto& step : steps_) {
        next.clear();
        for (const TextRange piece : pieces) {
            const std::size_t length = piece.end - piece.begin;
            std::visit(
                [&](const auto& splitter) {
                    apply(splitter, text.substr(piece.begin, length),
                          subject.substr(piece.begin, length), piece.begin, next);
                },
                step);
        }
        pieces.swap(next);
    }
    std::vector<std::string_view> words;
    words.reserve(pieces.size());
    for (const TextRange piece : pieces)
        words.push_back(text.substr(piece.begin, piece.end - piece.begin));
    return words;
}

}  // namespace popalign
