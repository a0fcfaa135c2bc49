#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace popalign::jinja {

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

}  // namespace popalign::jinja
