#include <popalign/base/error.hpp>
#include <popalign/record/pair_flags.hpp>
#include <popalign/record/text_similarity.hpp>

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace popalign {
namespace {

constexpr std::size_t extreme_ratio = 10, long_text = 200;

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
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

/// The next code point, or a value that no script has for bytes that are none.
char32_t next_code_point(std::string_view text, std::size_t& position) {
    const auto byte = static_cast<unsigned char>(text[position++]);
    if (byte < 0x80)
        return byte;
    const int more = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : byte >= 0xC0 ? 1 : 0;
    char32_t value = byte & (0x3F >> more);
    for (int i = 0; i < more; ++i) {
        if (position == text.size() || (static_cast<unsigned char>(text[position]) & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (static_cast<unsigned char>(text[position++]) & 0x3F);
    }
    return more == 0 ? 0 : value;
}

Script script_of(char32_t c) {
    struct Block {
        char32_t first, last;
        Script script;
    };
    static constexpr std::array<Block, 16> blocks{{{'A', 'Z', Script::latin},
                                                   {'a', 'z', Script::latin},
                                                   {0xC0, 0x24F, Script::latin},
                                                   {0x370, 0x3FF, Script::greek},
                                                   {0x400, 0x52F, Script::cyrillic},
                                                   {0x590, 0x5FF, Script::hebrew},
                                                   {0x600, 0x77F, Script::arabic},
                                                   {0x900, 0xDFF, Script::indic},
                                                   {0xE00, 0xE7F, Script::thai},
                                                   {0x1100, 0x11FF, Script::hangul},
                                                   {0x1E00, 0x1EFF, Script::latin},
                                                   {0x3040, 0x30FF, Script::han},
                                                   {0x3400, 0x4DBF, Script::han},
                                                   {0x4E00, 0x9FFF, Script::han},
                                                   {0xAC00, 0xD7AF, Script::hangul},
                                                   {0x20000, 0x2FA1F, Script::han}}};
    for (const Block& block : blocks)
        if (c >= block.first && c <= block.last)
            return block.script;
    return Script::none;
}

std::vector<std::string_view> flag_names() {
    std::vector<std::string_view> names;
    for (const auto& [flag, name] : pair_flag_names)
        names.push_back(name);
    return names;
}

bool extreme(std::size_t a, std::size_t b) {
    const auto [shorter, longer] = std::minmax(a, b);
    return shorter > 0 && longer >= long_text && longer >= extreme_ratio * shorter;
}

bool other_script(std::string_view question, std::string_view answer) {
    const Script asked = main_script(question), given = main_script(answer);
    return asked != Script::none && given != Script::none && asked != given;
}

}  // namespace

std::uint32_t flag_mask(std::span<const std::string> names) {
    std::uint32_t mask = 0;
    for (const std::string& name : names) {
        const auto* known = std::find_if(pair_flag_names.begin(), pair_flag_names.end(),
                                         [&](const auto& entry) { return entry.second == name; });
        if (known == pair_flag_names.end())
            throw UsageError(fmt::format("train.exclude_flags: unknown flag '{}'; use {}", name,
                                         fmt::join(flag_names(), ", ")));
        mask |= static_cast<std::uint32_t>(known->first);
    }
    return mask;
}

Script main_script(std::string_view text) {
    std::array<std::size_t, 10> counts{};
    std::size_t letters = 0;
    for (std::size_t position = 0; position < text.size();) {
        const Script script = script_of(next_code_point(text, position));
        if (script == Script::none)
            continue;
        ++counts[static_cast<std::size_t>(script)];
        ++letters;
    }
    const auto* most = std::ranges::max_element(counts);
    return 2 * *most > letters ? static_cast<Script>(most - counts.begin()) : Script::none;
}

std::uint32_t pair_flags(const Instruction& instruction, const Response& chosen,
                         const Response& rejected) {
    std::uint32_t flags = 0;
    const auto set = [&](bool condition, PairFlag flag) {
        if (condition)
            flags |= static_cast<std::uint32_t>(flag);
    };
    const auto cut = [](const Response& response) {
        return response.finish_reason == FinishReason::length;
    };
    const std::string &good = chosen.text, &bad = rejected.text;
    set(good == bad, PairFlag::identical);
    set(good.empty() || bad.empty(), PairFlag::empty);
    set(cut(chosen) || cut(rejected), PairFlag::truncated);
    set(!chosen.parsed || !rejected.parsed, PairFlag::unparsed);
    set(declines(good), PairFlag::refusal);
    set(extreme(good.size(), bad.size()), PairFlag::length_ratio);
    set(good != bad && text_similarity(good, bad) >= near_duplicate_similarity,
        PairFlag::near_duplicate);
    set(other_script(instruction.text, good) || other_script(instruction.text, bad),
        PairFlag::other_script);
    return flags;
}

}  // namespace popalign
