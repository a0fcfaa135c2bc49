#include "lm/text/pre_tokenizer.hpp"

#include "lm/text/unicode.hpp"

#include <popalign/base/error.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <string>

namespace popalign::lm {
namespace {

constexpr const char* gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace

PreTokenizer::PreTokenizer(const nlohmann::json& description, BpeModel::Units units,
                           const Normalizer& normalizer) {
    if (!description.is_null())
        add_step(description, normalizer, 0);
    if (byte_level_ != (units == BpeModel::Units::bytes))
        throw UsageError(
            "a pre-tokenizer and a decoder of which only one is ByteLevel are not "
            "supported");
}

void PreTokenizer::add_step(const nlohmann::json& description, const Normalizer& normalizer,
                            int depth) {
    if (depth > 4)
        throw UsageError("pre-tokenizers are nested too deeply");
    if (byte_level_ || metaspace_)
        throw UsageError("a pre-tokenizer after ByteLevel or Metaspace is not supported");
    const auto type = description.at("type").get<std::string>();
    if (type == "Sequence") {
        for (const auto& step : description.at("pretokenizers"))
            add_step(step, normalizer, depth + 1);
    } else if (type == "Digits") {
        steps_.emplace_back(Digits{description.value("individual_digits", false)});
    } else if (type == "Split") {
        add_split(description, normalizer);
    } else if (type == "Metaspace") {
        add_metaspace(description);
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

void PreTokenizer::add_metaspace(const nlohmann::json& description) {
    if (!steps_.empty() || description.value("split", true))
        throw UsageError("Metaspace that splits is not supported");
    metaspace_ = Metaspace{description.at("replacement").get<std::string>(),
                           description.value("prepend_scheme", "always")};
    const auto& scheme = metaspace_->prepend_scheme;
    if (scheme != "always" && scheme != "first" && scheme != "never")
        throw UsageError(fmt::format("Metaspace's prepend_scheme '{}' is not known", scheme));
}

std::string PreTokenizer::mark_spaces(const std::string& text, TextPosition position) const {
    std::string marked = replace_all(text, " ", metaspace_->replacement);
    const bool prepend =
        metaspace_->prepend_scheme == "always" ||
        (metaspace_->prepend_scheme == "first" && position == TextPosition::beginning);
    if (prepend && !marked.empty() && !marked.starts_with(metaspace_->replacement))
        marked.insert(0, metaspace_->replacement);
    return marked;
}

void PreTokenizer::add_split(const nlohmann::json& description, const Normalizer& normalizer) {
    const auto& pattern = description.at("pattern");
    if (pattern.contains("String") && normalizer.removes(pattern["String"].get<std::string>()))
        return;  // there is nothing left to split by
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
        const std::size_t character = offset;
        const bool digit = is_numeric(next_code_point(text, offset));
        const bool cut = digit != in_digits || (digit && step.individual);
        if (cut && piece_begin < character) {
            pieces.push_back({begin + piece_begin, begin + character});
            piece_begin = character;
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

}  // namespace popalign::lm
