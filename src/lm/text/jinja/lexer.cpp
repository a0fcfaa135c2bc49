#include "lm/text/jinja/jinja.hpp"
#include "lm/text/unicode.hpp"

#include <popalign/base/error.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace popalign::lm::jinja {
namespace {

constexpr std::string_view space = " \t\n\r\v\f";

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

class Lexer {
  public:
    explicit Lexer(std::string_view source) {
        for (std::size_t i = 0; i < source.size(); ++i)
            if (source[i] != '\r' || !source.substr(i + 1).starts_with('\n'))
                source_ += source[i];
        if (source_.ends_with('\n'))
            source_.pop_back();
    }

    std::vector<Token> run() {
        while (offset_ < source_.size())
            step();
        add(Token::Kind::end, "");
        return std::move(tokens_);
    }

  private:
    bool starts(std::string_view text) const {
        return std::string_view(source_).substr(offset_).starts_with(text);
    }
    void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text)}); }

    void step() {
        const std::size_t tag = next_tag(offset_);
        add_text(tag);
        offset_ = std::min(tag + 2, source_.size());
        if (tag == source_.size())
            return;
        const char kind = source_[tag + 1];
        if (offset_ < source_.size() && (source_[offset_] == '-' || source_[offset_] == '+'))
            ++offset_;
        if (kind == '#')
            comment();
        else
            inside(kind == '{' ? "}}" : "%}");
    }

    std::size_t next_tag(std::size_t from) const {
        std::size_t tag = source_.find('{', from);
        while (tag != std::string::npos &&
               (tag + 1 == source_.size() ||
                std::string_view("{%#").find(source_[tag + 1]) == std::string_view::npos))
            tag = source_.find('{', tag + 1);
        return std::min(tag, source_.size());
    }

    /// Text up to the tag, less what the tags on its two sides strip.
    void add_text(std::size_t tag) {
        std::string_view text = std::string_view(source_).substr(offset_, tag - offset_);
        if (strip_left_)
            text.remove_prefix(std::min(text.find_first_not_of(space), text.size()));
        else if (trim_newline_ && text.starts_with('\n'))
            text.remove_prefix(1);
        const char control = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
        if (tag < source_.size() && control == '-') {
            text = text.substr(0, text.find_last_not_of(space) + 1);
        } else if (tag < source_.size() && source_[tag + 1] != '{' && control != '+') {
            // Blanks between the beginning of a line and a block are stripped.
            const std::size_t line = text.find_last_not_of(" \t") + 1;
            const bool at_line_start =
                line > 0 ? text[line - 1] == '\n' : starts_line(tag - text.size());
            if (at_line_start)
                text = text.substr(0, line);
        }
        strip_left_ = trim_newline_ = false;
        if (!text.empty())
            add(Token::Kind::text, std::string(text));
    }

    bool starts_line(std::size_t offset) const {
        return offset == 0 || source_[offset - 1] == '\n';
    }

    void close(std::size_t end, bool is_output) {
        strip_left_ = end > 0 && source_[end - 1] == '-';
        trim_newline_ = !is_output && source_[end - 1] != '+';
        offset_ = end + 2;
    }

    void comment() {
        const std::size_t end = source_.find("#}", offset_);
        if (end == std::string::npos)
            throw UsageError("a comment is not closed");
        close(end, false);
    }

    void inside(std::string_view closing) {
        const bool is_output = closing == "}}";
        add(is_output ? Token::Kind::begin_output : Token::Kind::begin_block, "");
        int depth = 0;
        // Long tags are refused: operators in a row nest as deeply as they are many.
        for (std::size_t limit = tokens_.size() + 500; tokens_.size() < limit;) {
            offset_ = std::min(source_.find_first_not_of(space, offset_), source_.size());
            if (offset_ == source_.size())
                throw UsageError(fmt::format("'{}' is missing", closing));
            const bool control = source_[offset_] == '-' || (source_[offset_] == '+' && !is_output);
            const std::size_t end = offset_ + (control ? 1 : 0);
            if (depth == 0 && std::string_view(source_).substr(end).starts_with(closing)) {
                add(is_output ? Token::Kind::end_output : Token::Kind::end_block, "");
                return close(end, is_output);
            }
            const char c = source_[offset_];
            depth += c == '{' || c == '(' || c == '['   ? 1
                     : c == '}' || c == ')' || c == ']' ? -1
                                                        : 0;
            inner_token(c);
        }
        throw UsageError("a tag of so many words is not supported");
    }

    void inner_token(char c) {
        if (c == '"' || c == '\'')
            return add(Token::Kind::string, string_literal(c));
        if (is_name_character(c)) {
            const std::size_t begin = offset_;
            while (offset_ < source_.size() && is_name_character(source_[offset_]))
                ++offset_;
            return add(is_digit(c) ? Token::Kind::integer : Token::Kind::name,
                       source_.substr(begin, offset_ - begin));
        }
        for (std::string_view symbol : {"==", "!=", "<=", ">=", "//"})
            if (starts(symbol)) {
                offset_ += symbol.size();
                return add(Token::Kind::symbol, std::string(symbol));
            }
        if (std::string_view("+-*/%~<>=()[]{}.,:|").find(c) == std::string_view::npos)
            throw UsageError(fmt::format("the character '{}' is not supported", c));
        ++offset_;
        add(Token::Kind::symbol, std::string(1, c));
    }

    std::string string_literal(char quote) {
        std::string text;
        for (++offset_; offset_ < source_.size() && source_[offset_] != quote; ++offset_)
            if (source_[offset_] == '\\')
                escape(text);
            else
                text += source_[offset_];
        if (offset_ == source_.size())
            throw UsageError("a string is not closed");
        ++offset_;
        return text;
    }

    /// At a backslash; leaves the offset at the escape's last character.
    void escape(std::string& text) {
        ++offset_;
        const char c = offset_ < source_.size() ? source_[offset_] : '\0';
        constexpr std::string_view names = "ntr\\'\"", characters = "\n\t\r\\'\"";
        if (const auto index = names.find(c); index != std::string_view::npos) {
            text += characters[index];
            return;
        }
        std::uint32_t point = 0;
        const char* begin = source_.data() + offset_ + 1;
        if (c != 'u' || source_.size() - offset_ < 5 ||
            std::from_chars(begin, begin + 4, point, 16).ptr != begin + 4 ||
            (point >= 0xD800 && point < 0xE000))
            throw UsageError(fmt::format("the escape '\\{}' is not supported", c));
        append_code_point(text, point);
        offset_ += 4;
    }

    std::string source_;
    std::size_t offset_ = 0;
    bool strip_left_ = false, trim_newline_ = false;
    std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
    return Lexer(source).run();
}

}  // namespace popalign::lm::jinja
