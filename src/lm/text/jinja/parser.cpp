#include "lm/text/jinja/jinja.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <utility>

namespace popalign::lm::jinja {
namespace {

using Kind = Expression::Kind;
using Body = std::vector<Statement>;
using Names = std::initializer_list<std::string_view>;

bool contains(Names names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

class Parser {
  public:
    explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    Body run() {
        Body body = parse_body({});
        if (peek().kind != Token::Kind::end)
            fail();
        return body;
    }

  private:
    /// Nesting is bounded, as the parser and the evaluator recurse.
    struct Depth {
        explicit Depth(int& depth) : depth_(depth) {
            if (++depth_ > 200)
                throw UsageError("the template is nested too deeply");
        }
        Depth(const Depth&) = delete;
        Depth& operator=(const Depth&) = delete;
        ~Depth() { --depth_; }
        int& depth_;
    };

    const Token& peek(std::size_t ahead = 0) const {
        return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
    }
    Token take() {
        Token token = peek();
        ++at_;
        return token;
    }
    [[noreturn]] void fail() const {
        throw UsageError(fmt::format("'{}' was not expected", peek().text));
    }
    bool is_symbol(std::string_view text) const {
        return peek().kind == Token::Kind::symbol && peek().text == text;
    }
    bool is_name(std::string_view text, std::size_t ahead = 0) const {
        return peek(ahead).kind == Token::Kind::name && peek(ahead).text == text;
    }
    bool accept(std::string_view symbol) { return is_symbol(symbol) && (++at_, true); }
    bool accept_name(std::string_view name) { return is_name(name) && (++at_, true); }
    void expect(std::string_view symbol) {
        if (!accept(symbol))
            fail();
    }
    void expect(Token::Kind kind) {
        if (take().kind != kind)
            throw UsageError("a tag holds more than was expected");
    }
    std::string take_name() {
        if (peek().kind != Token::Kind::name)
            fail();
        return take().text;
    }

    /// Statements up to the block that begins with one of `ends`, whose name is taken.
    Body parse_body(Names ends) {
        const Depth depth(depth_);
        Body body;
        while (peek().kind != Token::Kind::end) {
            if (peek().kind == Token::Kind::text) {
                body.push_back({Statement::Kind::text, take().text, {}, {}, {}});
            } else if (peek().kind == Token::Kind::begin_output) {
                ++at_;
                body.push_back({Statement::Kind::output, "", {}, {parse_expression()}, {}});
                expect(Token::Kind::end_output);
            } else {
                expect(Token::Kind::begin_block);
                end_name_ = take_name();
                if (contains(ends, end_name_))
                    return body;
                body.push_back(parse_statement(std::string(end_name_)));
            }
        }
        if (ends.size() != 0)
            throw UsageError("a block is not closed");
        return body;
    }

    Statement parse_statement(const std::string& tag) {
        if (tag == "if")
            return parse_branch();
        if (tag == "for")
            return parse_loop();
        if (tag == "set")
            return parse_assignment();
        if (tag == "macro")
            return parse_macro();
        if (tag == "generation" || tag == "endgeneration") {
            expect(Token::Kind::end_block);
            return {};
        }
        if (tag != "break" && tag != "continue")
            throw UsageError(fmt::format("the tag '{}' is not supported", tag));
        expect(Token::Kind::end_block);
        return {Statement::Kind::unsupported, tag, {}, {}, {}};
    }

    Statement parse_branch() {
        Statement statement{Statement::Kind::branch, "", {}, {}, {}};
        do {
            statement.expressions.push_back(parse_expression());
            expect(Token::Kind::end_block);
            statement.bodies.push_back(parse_body({"elif", "else", "endif"}));
        } while (end_name_ == "elif");
        if (end_name_ == "else") {
            expect(Token::Kind::end_block);
            statement.bodies.push_back(parse_body({"endif"}));
        }
        expect(Token::Kind::end_block);
        return statement;
    }

    Statement parse_loop() {
        Statement statement{Statement::Kind::loop, "", {}, {}, {}};
        do
            statement.names.push_back(take_name());
        while (accept(","));
        if (!accept_name("in"))
            fail();
        statement.expressions.push_back(parse_disjunction());
        if (accept_name("if"))
            statement.expressions.push_back(parse_expression());
        expect(Token::Kind::end_block);
        statement.bodies.push_back(parse_body({"else", "endfor"}));
        if (end_name_ == "else") {
            expect(Token::Kind::end_block);
            statement.bodies.push_back(parse_body({"endfor"}));
        }
        expect(Token::Kind::end_block);
        return statement;
    }

    Statement parse_assignment() {
        Statement statement{Statement::Kind::assignment, "", {take_name()}, {}, {}};
        if (accept("."))
            statement.names.push_back(take_name());
        if (accept("=")) {
            statement.expressions.push_back(parse_expression());
        } else {
            expect(Token::Kind::end_block);
            statement.bodies.push_back(parse_body({"endset"}));
        }
        expect(Token::Kind::end_block);
        return statement;
    }

    /// Macros are known by name only; a template that calls one is not supported.
    Statement parse_macro() {
        Statement statement{Statement::Kind::macro, take_name(), {}, {}, {}};
        while (peek().kind != Token::Kind::end_block && peek().kind != Token::Kind::end)
            ++at_;
        expect(Token::Kind::end_block);
        parse_body({"endmacro"});
        expect(Token::Kind::end_block);
        return statement;
    }

    Expression parse_expression() {
        const Depth depth(depth_);
        Expression value = parse_disjunction();
        while (accept_name("if")) {
            Expression condition = parse_disjunction();
            Expression otherwise{Kind::literal, "", Undefined{}, {}, {}};
            if (accept_name("else"))
                otherwise = parse_expression();
            value = {Kind::conditional, "", {}, {condition, value, otherwise}, {}};
        }
        return value;
    }

    Expression parse_disjunction() {
        Expression left = parse_conjunction();
        while (accept_name("or"))
            left = {Kind::disjunction, "or", {}, {left, parse_conjunction()}, {}};
        return left;
    }

    Expression parse_conjunction() {
        Expression left = parse_negation();
        while (accept_name("and"))
            left = {Kind::conjunction, "and", {}, {left, parse_negation()}, {}};
        return left;
    }

    Expression parse_negation() {
        const Depth depth(depth_);
        if (accept_name("not"))
            return {Kind::negation, "not", {}, {parse_negation()}, {}};
        return parse_comparison();
    }

    Expression parse_comparison() {
        Expression left = parse_binary(0);
        while (true) {
            if (peek().kind == Token::Kind::symbol &&
                contains({"==", "!=", "<", ">", "<=", ">="}, peek().text)) {
                std::string name = take().text;
                left = {Kind::binary, std::move(name), {}, {left, parse_binary(0)}, {}};
            } else if (accept_name("in")) {
                left = {Kind::binary, "in", {}, {left, parse_binary(0)}, {}};
            } else if (is_name("not") && is_name("in", 1)) {
                at_ += 2;
                const Expression inside{Kind::binary, "in", {}, {left, parse_binary(0)}, {}};
                left = {Kind::negation, "not", {}, {inside}, {}};
            } else {
                return left;
            }
        }
    }

    Expression parse_binary(std::size_t level) {
        static constexpr std::string_view levels[] = {"+-", "~", "*/%"};
        if (level == std::size(levels))
            return parse_unary();
        Expression left = parse_binary(level + 1);
        while (peek().kind == Token::Kind::symbol &&
               (levels[level].find(peek().text) != std::string_view::npos ||
                (level == 2 && peek().text == "//"))) {
            std::string name = take().text;
            left = {Kind::binary, std::move(name), {}, {left, parse_binary(level + 1)}, {}};
        }
        return left;
    }

    Expression parse_unary() {
        const Depth depth(depth_);
        if (accept("-"))
            return {Kind::minus, "-", {}, {parse_unary()}, {}};
        Expression value = parse_primary();
        // Members follow a value, but neither a filter nor a test.
        bool plain = true;
        while (true) {
            if (plain && accept(".")) {
                value = {Kind::attribute, take_name(), {}, {value}, {}};
            } else if (plain && accept("[")) {
                value = parse_subscript(std::move(value));
            } else if (is_symbol("(")) {
                value = {Kind::call, "", {}, {value}, {}};
                parse_arguments(value);
            } else if (accept("|")) {
                plain = false;
                value = {Kind::filter, take_name(), {}, {value}, {}};
                parse_arguments(value);
            } else if (accept_name("is")) {
                plain = false;
                const bool negated = accept_name("not");
                value = {Kind::test, take_name(), {}, {value}, {}};
                parse_arguments(value);
                if (negated)
                    value = {Kind::negation, "not", {}, {value}, {}};
            } else {
                return value;
            }
        }
    }

    /// Appends arguments in parentheses, if there are any, to the operands of `call`.
    void parse_arguments(Expression& call) {
        if (!accept("("))
            return;
        while (!accept(")")) {
            std::string name;
            if (peek().kind == Token::Kind::name && peek(1).kind == Token::Kind::symbol &&
                peek(1).text == "=") {
                name = take().text;
                ++at_;
            }
            call.operands.push_back(parse_expression());
            call.argument_names.push_back(std::move(name));
            if (!accept(",") && !is_symbol(")"))
                fail();
        }
    }

    Expression parse_subscript(Expression object) {
        const Expression nothing{Kind::literal, "", None{}, {}, {}};
        std::vector<Expression> bounds{nothing};
        bool slice = false;
        while (!accept("]")) {
            if (accept(":")) {
                slice = true;
                bounds.push_back(nothing);
            } else {
                bounds.back() = parse_expression();
                if (!is_symbol(":") && !is_symbol("]"))
                    fail();
            }
        }
        if (!slice)
            return {Kind::item, "", {}, {std::move(object), bounds[0]}, {}};
        bounds.resize(3, nothing);
        return {Kind::slice, "", {}, {std::move(object), bounds[0], bounds[1], bounds[2]}, {}};
    }

    Expression parse_primary() {
        if (peek().kind == Token::Kind::string) {
            std::string text;
            while (peek().kind == Token::Kind::string)
                text += take().text;
            return {Kind::literal, "", text, {}, {}};
        }
        if (peek().kind == Token::Kind::integer)
            return {Kind::literal, "", parse_integer(take().text), {}, {}};
        if (accept("(")) {
            Expression value = parse_expression();
            expect(")");
            return value;
        }
        if (accept("["))
            return parse_list();
        if (accept("{"))
            return parse_dictionary();
        return parse_name(take_name());
    }

    static Value parse_integer(const std::string& text) {
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size())
            throw UsageError(fmt::format("the number '{}' is not supported", text));
        return value;
    }

    Expression parse_list() {
        Expression list{Kind::list, "", {}, {}, {}};
        while (!accept("]")) {
            list.operands.push_back(parse_expression());
            if (!accept(",") && !is_symbol("]"))
                fail();
        }
        return list;
    }

    Expression parse_dictionary() {
        Expression dictionary{Kind::dictionary, "", {}, {}, {}};
        while (!accept("}")) {
            dictionary.operands.push_back(parse_expression());
            expect(":");
            dictionary.operands.push_back(parse_expression());
            if (!accept(",") && !is_symbol("}"))
                fail();
        }
        return dictionary;
    }

    static Expression parse_name(const std::string& name) {
        if (contains({"true", "True"}, name))
            return {Kind::literal, "", true, {}, {}};
        if (contains({"false", "False"}, name))
            return {Kind::literal, "", false, {}, {}};
        if (contains({"none", "None"}, name))
            return {Kind::literal, "", None{}, {}, {}};
        return {Kind::name, name, {}, {}, {}};
    }

    std::vector<Token> tokens_;
    std::size_t at_ = 0;
    int depth_ = 0;
    std::string end_name_;
};

}  // namespace

std::vector<Statement> parse(std::string_view source) {
    if (source.size() > std::size_t{1} << 20)
        throw UsageError("a template of more than 1 MiB is not supported");
    return Parser(tokenize(source)).run();
}

}  // namespace popalign::lm::jinja
