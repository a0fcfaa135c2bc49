#pragma once

#include "lm/chat_template_jinja_text.hpp"

#include <popalign/base/error.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// As much of Jinja as chat templates use when they render dialogues without tools.
namespace popalign::jinja {

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

/// Throws UsageError for what is not understood. Blocks are trimmed as `transformers` has it.
std::vector<Statement> parse(std::string_view source);

/// Throws Raised, and UsageError for what is not supported or makes work out of all proportion to
/// `content_bytes`, the size of what the variables hold.
Text render(const std::vector<Statement>& statements, const Dictionary& variables,
            std::size_t content_bytes);

}  // namespace popalign::jinja
