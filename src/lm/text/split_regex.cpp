#include "lm/text/split_regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <popalign/base/error.hpp>
#include <popalign/base/unique_handle.hpp>

#include <fmt/core.h>
#include <pcre2.h>

#include <algorithm>
#include <array>

namespace popalign::lm {
namespace {

struct CodeTraits {
    using Handle = pcre2_code*;
    static Handle null() noexcept { return nullptr; }
    static void release(Handle handle) noexcept { pcre2_code_free(handle); }
};

struct MatchDataTraits {
    using Handle = pcre2_match_data*;
    static Handle null() noexcept { return nullptr; }
    static void release(Handle handle) noexcept { pcre2_match_data_free(handle); }
};

std::string error_text(int code) {
    std::array<PCRE2_UCHAR, 256> buffer{};
    if (pcre2_get_error_message(code, buffer.data(), buffer.size()) < 0)
        return fmt::format("PCRE2 error {}", code);
    return {buffer.begin(), std::find(buffer.begin(), buffer.end(), PCRE2_UCHAR{0})};
}

constexpr auto general_categories = std::to_array<std::string_view>(
    {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd",
     "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm",
     "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Co", "Cn"});

/// Walks over a pattern and refuses what the two libraries may understand differently.
class DialectCheck {
  public:
    explicit DialectCheck(std::string_view pattern) : pattern_(pattern) {}

    void run() {
        while (offset_ < pattern_.size())
            step();
    }

  private:
    bool starts(std::string_view text) const { return pattern_.substr(offset_).starts_with(text); }

    [[noreturn]] void refuse(std::string_view what) const {
        throw UsageError(fmt::format(
            "'{}' at position {} of the regular expression is not supported", what, offset_));
    }

    void step() {
        const char c = pattern_[offset_];
        if (static_cast<unsigned char>(c) >= 0x80)
            refuse("a character beyond ASCII");
        if (c == '\\')
            return escape();
        if (in_class_)
            class_character(c);
        else
            plain_character(c);
        ++offset_;
    }

    void escape() {
        if (starts("\\p{") || starts("\\P{")) {
            const std::size_t begin = offset_ + 3, end = pattern_.find('}', begin);
            const auto name = pattern_.substr(begin, end - begin);
            if (end == std::string_view::npos ||
                std::find(general_categories.begin(), general_categories.end(), name) ==
                    general_categories.end())
                refuse(pattern_.substr(offset_, 12));
            offset_ = end + 1;
            return;
        }
        const auto letter = pattern_.substr(offset_, 2);
        constexpr std::string_view known = "sSrnt\\.+*?()[]{}|^$/-'\" #&~!";
        if (letter.size() < 2 || known.find(letter[1]) == std::string_view::npos)
            refuse(letter);
        offset_ += 2;
    }

    void class_character(char c) {
        if (c == '[' || starts("&&"))
            refuse(pattern_.substr(offset_, 2));
        in_class_ = c != ']';
    }

    void plain_character(char c) {
        if (c == '^' || c == '$' || c == '.')
            refuse(pattern_.substr(offset_, 1));
        if (starts("{,") || starts("}+") || starts("}?"))
            refuse(pattern_.substr(offset_, 2));
        if (starts("(?") && !starts("(?i:") && !starts("(?:") && !starts("(?!") && !starts("(?="))
            refuse(pattern_.substr(offset_, 4));
        if (starts("(*"))
            refuse("(*");
        if (c == '[') {
            in_class_ = true;
            // A bracket that comes first is read as a member by one library only.
            if (starts("[]") || starts("[^]"))
                refuse("[]");
        }
    }

    std::string_view pattern_;
    std::size_t offset_ = 0;
    bool in_class_ = false;
};

}  // namespace

struct SplitRegex::Code {
    UniqueHandle<CodeTraits> handle;
};

SplitRegex::SplitRegex(const std::string& pattern) {
    DialectCheck(pattern).run();
    int error = 0;
    PCRE2_SIZE offset = 0;
    // PCRE2 takes its pattern as unsigned bytes.
    UniqueHandle<CodeTraits> handle(
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr));
    if (!handle)
        throw UsageError(fmt::format("the regular expression fails at position {}: {}", offset,
                                     error_text(error)));
    // Without just-in-time compilation (forbidden by some kernels) matching is only slower.
    pcre2_jit_compile(handle.get(), PCRE2_JIT_COMPLETE);
    code_ = std::make_shared<Code>(Code{std::move(handle)});
}

std::vector<TextRange> SplitRegex::matches(std::string_view subject) const {
    const UniqueHandle<MatchDataTraits> data(
        pcre2_match_data_create_from_pattern(code_->handle.get(), nullptr));
    if (!data)
        throw_call_failed("pcre2_match_data_create_from_pattern", "out of memory");
    std::vector<TextRange> found;
    std::size_t offset = 0;
    while (offset <= subject.size()) {
        const int count =
            pcre2_match(code_->handle.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()),
                        subject.size(), offset, PCRE2_NO_UTF_CHECK, data.get(), nullptr);
        if (count == PCRE2_ERROR_NOMATCH)
            break;
        if (count < 0)
            throw_call_failed("pcre2_match", error_text(count));
        const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data.get());
        const TextRange match{bounds[0], bounds[1]};
        const bool empty = match.begin == match.end;
        if (!empty || found.empty() || found.back().end != match.end)
            found.push_back(match);
        offset = match.end;
        if (empty)
            do
                ++offset;
            while (offset < subject.size() &&
                   (static_cast<unsigned char>(subject[offset]) & 0xC0) == 0x80);
    }
    return found;
}

}  // namespace popalign::lm
