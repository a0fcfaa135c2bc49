#include "lm/text/jinja/jinja.hpp"

#include <utility>

namespace popalign::lm::jinja {
namespace {

using Kind = Expression::Kind;

/// Templates come from files that nobody has checked. A step is an expression, or 256 bytes of
/// text.
constexpr std::size_t base_steps = 20'000, bytes_a_step = 256;

class Renderer {
  public:
    Renderer(const Dictionary& variables, std::size_t content_bytes)
        : steps_left_(base_steps + content_bytes) {
        scopes_.push_back(variables);
    }

    Text run(const std::vector<Statement>& body) {
        Text output;
        render(body, output);
        return output;
    }

  private:
    void count_step(std::size_t bytes = 0) {
        const std::size_t steps = 1 + bytes / bytes_a_step;
        if (steps > steps_left_)
            unsupported("a template of", "so many steps");
        steps_left_ -= steps;
    }

    void render(const std::vector<Statement>& body, Text& output) {
        for (const Statement& statement : body) {
            count_step();
            render(statement, output);
            check_size(output);
        }
    }

    void render(const Statement& statement, Text& output) {
        switch (statement.kind) {
            case Statement::Kind::text:
                output += statement.text;
                break;
            case Statement::Kind::output:
                output += to_text(evaluate(statement.expressions[0]));
                break;
            case Statement::Kind::branch:
                render_branch(statement, output);
                break;
            case Statement::Kind::loop:
                render_loop(statement, output);
                break;
            case Statement::Kind::assignment:
                assign(statement);
                break;
            case Statement::Kind::macro:
                break;
            case Statement::Kind::unsupported:
                unsupported("the tag", statement.text);
        }
    }

    void render_branch(const Statement& statement, Text& output) {
        const auto& conditions = statement.expressions;
        std::size_t chosen = 0;
        while (chosen < conditions.size() && !truth(evaluate(conditions[chosen])))
            ++chosen;
        if (chosen < statement.bodies.size())
            render(statement.bodies[chosen], output);
    }

    static void bind(Dictionary& scope, const std::vector<std::string>& names, const Value& item) {
        if (names.size() == 1) {
            scope[names[0]] = item;
            return;
        }
        const auto& parts = *require<ListPointer>(item, "unpacking");
        if (parts.size() != names.size())
            throw Raised("unpacking into another number of names");
        for (std::size_t i = 0; i < names.size(); ++i)
            scope[names[i]] = parts[i];
    }

    static Value loop_variable(const List& items, std::size_t i) {
        const auto index = static_cast<Integer>(i), count = std::ssize(items);
        Dictionary loop{{"index", index + 1},
                        {"index0", index},
                        {"first", index == 0},
                        {"last", index + 1 == count},
                        {"length", count},
                        {"revindex", count - index},
                        {"revindex0", count - index - 1}};
        loop["previtem"] = i > 0 ? items[i - 1] : Value();
        loop["nextitem"] = i + 1 < items.size() ? items[i + 1] : Value();
        return std::make_shared<Dictionary>(std::move(loop));
    }

    void render_loop(const Statement& statement, Text& output) {
        const Value iterated = evaluate(statement.expressions[0]);
        List items;
        scopes_.emplace_back();
        if (!is_undefined(iterated))
            for (const Value& item : *require<ListPointer>(iterated, "for")) {
                count_step();
                bind(scopes_.back(), statement.names, item);
                if (statement.expressions.size() == 1 || truth(evaluate(statement.expressions[1])))
                    items.push_back(item);
            }
        for (std::size_t i = 0; i < items.size(); ++i) {
            scopes_.back().clear();
            bind(scopes_.back(), statement.names, items[i]);
            scopes_.back()["loop"] = loop_variable(items, i);
            render(statement.bodies[0], output);
        }
        scopes_.pop_back();
        if (items.empty() && statement.bodies.size() > 1)
            render(statement.bodies[1], output);
    }

    void assign(const Statement& statement) {
        Value value;
        if (statement.bodies.empty()) {
            value = evaluate(statement.expressions[0]);
        } else {
            Text text;
            render(statement.bodies[0], text);
            value = std::move(text);
        }
        if (statement.names.size() == 1)
            scopes_.back()[statement.names[0]] = std::move(value);
        else
            (*require<DictionaryPointer>(look_up(statement.names[0]), "set"))[statement.names[1]] =
                std::move(value);
    }

    Value look_up(const std::string& name) const {
        for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
            if (const auto found = scope->find(name); found != scope->end())
                return found->second;
        return Undefined{};
    }

    Value evaluate(const Expression& e) {
        Value value = compute(e);
        const auto* text = std::get_if<Text>(&value);
        const auto* list = std::get_if<ListPointer>(&value);
        count_step(text != nullptr   ? text->size()
                   : list != nullptr ? (*list)->size() * sizeof(Value)
                                     : 0);
        return value;
    }

    Value compute(const Expression& e) {
        const auto operand = [&](std::size_t i) { return evaluate(e.operands[i]); };
        switch (e.kind) {
            case Kind::literal:
                return e.literal;
            case Kind::name:
                return look_up(e.name);
            case Kind::list:
                return ListPointer(std::make_shared<List>(all(e.operands, 0)));
            case Kind::dictionary:
                return dictionary(e);
            case Kind::attribute:
                return member(operand(0), e.name);
            case Kind::item:
                return item(operand(0), operand(1));
            case Kind::slice:
                return slice(operand(0), operand(1), operand(2), operand(3));
            case Kind::call:
                return call(e);
            case Kind::filter:
                return filter(e.name, operand(0), all(e.operands, 1));
            case Kind::test:
                return test(e.name, operand(0), all(e.operands, 1));
            case Kind::negation:
                return !truth(operand(0));
            case Kind::minus:
                return -require<Integer>(operand(0), "-");
            case Kind::binary:
                return binary(e.name, operand(0), operand(1));
            case Kind::conjunction: {
                const Value left = operand(0);
                return truth(left) ? operand(1) : left;
            }
            case Kind::disjunction: {
                const Value left = operand(0);
                return truth(left) ? left : operand(1);
            }
            case Kind::conditional:
                return truth(operand(0)) ? operand(1) : operand(2);
        }
        return Undefined{};
    }

    List all(const std::vector<Expression>& expressions, std::size_t from) {
        List values;
        for (std::size_t i = from; i < expressions.size(); ++i)
            values.push_back(evaluate(expressions[i]));
        return values;
    }

    Value dictionary(const Expression& e) {
        auto result = std::make_shared<Dictionary>();
        for (std::size_t i = 0; i + 1 < e.operands.size(); i += 2)
            (*result)[require<Text>(evaluate(e.operands[i]), "{}").bytes()] =
                evaluate(e.operands[i + 1]);
        return result;
    }

    Value call(const Expression& e) {
        const Expression& callee = e.operands[0];
        const List arguments = all(e.operands, 1);
        if (callee.kind == Kind::attribute)
            return method(callee.name, evaluate(callee.operands[0]), arguments);
        if (callee.kind == Kind::name && callee.name == "raise_exception")
            throw Raised(arguments.empty() ? "" : to_text(arguments[0]).bytes());
        if (callee.kind != Kind::name || callee.name != "namespace")
            unsupported("calling", callee.name);
        auto result = std::make_shared<Dictionary>();
        for (std::size_t i = 0; i < arguments.size(); ++i)
            (*result)[e.argument_names[i]] = arguments[i];
        return result;
    }

    std::vector<Dictionary> scopes_;
    std::size_t steps_left_;
};

}  // namespace

Text render(const std::vector<Statement>& statements, const Dictionary& variables,
            std::size_t content_bytes) {
    return Renderer(variables, content_bytes).run(statements);
}

}  // namespace popalign::lm::jinja
