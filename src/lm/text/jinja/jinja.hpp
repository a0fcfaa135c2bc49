#pragma once

#include <popalign/base/error.hpp>
#include <popalign/lm/text/chat_template.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// As much of Jinja as chat templates use when they render dialogues without tools: a lexer, a
/// parser, a renderer and the operations on values that they share.
namespace popalign::lm::jinja {

/// Text that stores for each byte whether it came from the template or a message. The bytes of a
/// message keep this origin when the template cuts, strips or joins it.
class Text {
  public:
    Text(std::string bytes = "", PieceOrigin origin = PieceOrigin::chat_template)
        : bytes_(std::move(bytes)), origins_(bytes_.size(), static_cast<char>(origin)) {}

    const std::string& bytes() const noexcept { return bytes_; }
    std::size_t size() const noexcept { return bytes_.size(); }
    /// As std::string::substr.
    Text part(std::size_t begin, std::size_t count = std::string::npos) const {
        Text result;
        result.bytes_ = bytes_.substr(begin, count);
        result.origins_ = origins_.substr(begin, count);
        return result;
    }
    Text& operator+=(const Text& other) {
        bytes_ += other.bytes_;
        origins_ += other.origins_;
        return *this;
    }
    /// Neighbouring bytes of one origin together.
    std::vector<RenderedPiece> pieces() const {
        std::vector<RenderedPiece> result;
        for (std::size_t begin = 0, end = 0; begin < size(); begin = end) {
            end = std::min(origins_.find_first_not_of(origins_[begin], begin), size());
            result.push_back(
                {bytes_.substr(begin, end - begin), static_cast<PieceOrigin>(origins_[begin])});
        }
        return result;
    }
    /// Templates see the bytes alone.
    bool operator==(const Text& other) const { return bytes_ == other.bytes_; }

  private:
    std::string bytes_, origins_;  // of the same length
};

struct Value;
using List = std::vector<Value>;
using Dictionary = std::map<std::string, Value>;
struct Undefined {
    bool operator==(const Undefined&) const = default;
};
struct None {
    bool operator==(const None&) const = default;
};

/// Lists are shared and never change; dictionaries are shared, and those from `namespace()` change.
struct Value : std::variant<Undefined, None, bool, std::int64_t, Text, std::shared_ptr<const List>,
                            std::shared_ptr<Dictionary>> {
    using variant::variant;
    Value(std::string text) : variant(Text(std::move(text))) {}
};

/// The template refused its input: `raise_exception`, or an operation on something undefined.
class Raised : public Error {
  public:
    using Error::Error;
};

struct Token {
    enum class Kind {
        text,
        begin_output,
        end_output,
        begin_block,
        end_block,
        name,
        string,
        integer,
        symbol,
        end
    };
    Kind kind;
    std::string text;
};

/// Tokens of a template; the last is `end`. Throws UsageError.
std::vector<Token> tokenize(std::string_view source);

struct Expression {
    enum class Kind {
        literal,
        name,
        list,
        dictionary,
        attribute,
        item,
        slice,
        call,
        filter,
        test,
        negation,
        minus,
        binary,
        conjunction,
        disjunction,
        conditional
    };

    Kind kind = Kind::literal;
    /// Of a variable, attribute, filter, test or operator.
    std::string name;
    Value literal;
    /// Operands; of `call`: the callee and the arguments; of `dictionary`: keys and values in turn.
    std::vector<Expression> operands;
    /// Of `call`: names of the arguments, empty for positional ones.
    std::vector<std::string> argument_names;
};

struct Statement {
    enum class Kind { text, output, branch, loop, assignment, macro, unsupported };

    Kind kind = Kind::text;
    std::string text;                ///< of `text`; the tag of `unsupported`; the macro's name
    std::vector<std::string> names;  ///< loop variables; the assigned name and attribute
    /// Output: the value. Branch: a condition for each body but the last, which is `else`. Loop:
    /// what is looped over and, optionally, a condition. Assignment: the value.
    std::vector<Expression> expressions;
    /// Branch: see above. Loop: the body and `else`. Block assignment: the body.
    std::vector<std::vector<Statement>> bodies;
};

/// Parses a template. Throws UsageError for unsupported syntax. Trims blocks as `transformers`
/// does.
std::vector<Statement> parse(std::string_view source);

/// Renders a template. Throws Raised, and UsageError for unsupported operations and for work out of
/// all proportion to `content_bytes`, the size of the variables' contents.
Text render(const std::vector<Statement>& statements, const Dictionary& variables,
            std::size_t content_bytes);

// Operations on values, as Python and Jinja define them. All throw Raised for values of the wrong
// type, and UsageError for what is not supported.

using Integer = std::int64_t;
using ListPointer = std::shared_ptr<const List>;
using DictionaryPointer = std::shared_ptr<Dictionary>;

/// Templates come from files that nobody has checked.
inline constexpr std::size_t max_text_size = std::size_t{16} << 20, max_list_size = 1000;

[[noreturn]] void unsupported(std::string_view what, std::string_view name);

template <class T>
const T& require(const Value& value, std::string_view what) {
    if (const T* held = std::get_if<T>(&value))
        return *held;
    throw Raised(std::string(what) + " on a value of the wrong type");
}

bool is_undefined(const Value& value);
bool truth(const Value& value);
Text to_text(const Value& value);
void check_size(const Text& text);

Value member(const Value& object, const std::string& name);
Value item(const Value& object, const Value& index);
Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);
Value binary(const std::string& name, const Value& a, const Value& b);
Value method(const std::string& name, const Value& object, const List& arguments);
Value filter(const std::string& name, const Value& value, const List& arguments);
Value test(const std::string& name, const Value& value, const List& arguments);

}  // namespace popalign::lm::jinja
