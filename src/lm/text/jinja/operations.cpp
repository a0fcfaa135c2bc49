#include "lm/text/jinja/jinja.hpp"
#include "lm/text/unicode.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace popalign::lm::jinja {
namespace {

bool equal(const Value& a, const Value& b) {
    const auto *list_a = std::get_if<ListPointer>(&a), *list_b = std::get_if<ListPointer>(&b);
    if (list_a != nullptr && list_b != nullptr)
        return std::equal((*list_a)->begin(), (*list_a)->end(), (*list_b)->begin(),
                          (*list_b)->end(), equal);
    if (std::holds_alternative<DictionaryPointer>(a) ||
        std::holds_alternative<DictionaryPointer>(b))
        unsupported("comparing", "dictionaries");
    using Base = Value::variant;
    return static_cast<const Base&>(a) == static_cast<const Base&>(b);
}

Text joined(Text left, const Text& right) {
    left += right;
    check_size(left);
    return left;
}

Text replace_all(const Text& text, const std::string& from, const Text& to) {
    if (from.empty())
        unsupported("replacing", "nothing");
    Text result;
    std::size_t begin = 0;
    for (std::size_t hit; (hit = text.bytes().find(from, begin)) != std::string::npos;
         begin = hit + from.size()) {
        result += text.part(begin, hit - begin);
        result += to;
        check_size(result);
    }
    result += text.part(begin);
    return result;
}

enum class Side { left, right, both };

Text strip(const Text& text, Side side, const std::optional<std::string>& characters) {
    const std::string& bytes = text.bytes();
    const auto stripped = [&](std::string_view character) {
        std::size_t offset = 0;
        return characters ? characters->find(character) != std::string::npos
                          : is_python_space(next_code_point(character, offset));
    };
    std::size_t begin = text.size(), end = 0;
    for (std::size_t offset = 0; offset < text.size();) {
        const std::size_t first = offset;
        next_code_point(bytes, offset);
        if (!stripped(std::string_view(bytes).substr(first, offset - first))) {
            begin = std::min(begin, first);
            end = offset;
        }
    }
    if (side == Side::left)
        end = text.size();
    else if (side == Side::right)
        begin = 0;
    return begin < end ? text.part(begin, end - begin) : Text();
}

Value split(const Text& text, const std::string& separator) {
    if (separator.empty())
        unsupported("splitting", "at nothing");
    auto parts = std::make_shared<List>();
    std::size_t begin = 0;
    for (std::size_t hit; (hit = text.bytes().find(separator, begin)) != std::string::npos;
         begin = hit + separator.size())
        parts->emplace_back(text.part(begin, hit - begin));
    parts->emplace_back(text.part(begin));
    return ListPointer(std::move(parts));
}

Integer length(const Value& value) {
    if (const auto* list = std::get_if<ListPointer>(&value))
        return std::ssize(**list);
    if (const auto* dictionary = std::get_if<DictionaryPointer>(&value))
        return std::ssize(**dictionary);
    const std::string& text = require<Text>(value, "length").bytes();
    return std::count_if(text.begin(), text.end(),
                         [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

bool is_in(const Value& item, const Value& container) {
    if (const auto* list = std::get_if<ListPointer>(&container))
        return std::any_of((*list)->begin(), (*list)->end(),
                           [&](const Value& entry) { return equal(item, entry); });
    if (const auto* dictionary = std::get_if<DictionaryPointer>(&container))
        return (*dictionary)->contains(require<Text>(item, "in").bytes());
    return require<Text>(container, "in").bytes().find(require<Text>(item, "in").bytes()) !=
           std::string::npos;
}

Integer calculate(const std::string& name, Integer a, Integer b) {
    constexpr Integer limit = 1'000'000;
    if (a > limit || a < -limit || b > limit || b < -limit)
        unsupported("a number beyond", "a million");
    if (name == "+" || name == "-")
        return name == "+" ? a + b : a - b;
    if (name == "*")
        return a * b;
    // Division rounds down in Python.
    if (name != "/" && b == 0)
        throw Raised("division by zero");
    const Integer remainder = name == "/" ? 0 : ((a % b) + b) % b;
    if (name == "%")
        return remainder;
    if (name == "//")
        return (a - remainder) / b;
    unsupported("the operator", name);
}

Value add(const Value& a, const Value& b) {
    if (const auto* list = std::get_if<ListPointer>(&a)) {
        auto sum = std::make_shared<List>(**list);
        const auto& other = *require<ListPointer>(b, "+");
        sum->insert(sum->end(), other.begin(), other.end());
        if (sum->size() > max_list_size)
            unsupported("a list of", "more than 1,000");
        return ListPointer(std::move(sum));
    }
    return joined(require<Text>(a, "+"), require<Text>(b, "+"));
}

}  // namespace

[[noreturn]] void unsupported(std::string_view what, std::string_view name) {
    throw UsageError(fmt::format("{} '{}' is not supported", what, name));
}

void check_size(const Text& text) {
    if (text.size() > max_text_size)
        unsupported("a text of", "more than 16 MiB");
}

bool is_undefined(const Value& value) {
    return std::holds_alternative<Undefined>(value);
}

bool truth(const Value& value) {
    if (const auto* flag = std::get_if<bool>(&value))
        return *flag;
    if (const auto* number = std::get_if<Integer>(&value))
        return *number != 0;
    if (const auto* text = std::get_if<Text>(&value))
        return text->size() > 0;
    if (const auto* list = std::get_if<ListPointer>(&value))
        return !(*list)->empty();
    if (const auto* dictionary = std::get_if<DictionaryPointer>(&value))
        return !(*dictionary)->empty();
    return false;
}

Text to_text(const Value& value) {
    if (is_undefined(value))
        return {};
    if (const auto* text = std::get_if<Text>(&value))
        return *text;
    if (const auto* number = std::get_if<Integer>(&value))
        return std::to_string(*number);
    if (const auto* flag = std::get_if<bool>(&value))
        return std::string(*flag ? "True" : "False");
    if (std::holds_alternative<None>(value))
        return std::string("None");
    unsupported("printing", "a list or dictionary");
}

Value member(const Value& object, const std::string& name) {
    if (is_undefined(object))
        throw Raised(fmt::format("'{}' of something undefined", name));
    if (const auto* dictionary = std::get_if<DictionaryPointer>(&object))
        if (const auto found = (*dictionary)->find(name); found != (*dictionary)->end())
            return found->second;
    return Undefined{};
}

Value item(const Value& object, const Value& index) {
    if (const auto* name = std::get_if<Text>(&index))
        return member(object, name->bytes());
    const auto& list = *require<ListPointer>(object, "[]");
    const Integer i = require<Integer>(index, "[]");
    const Integer count = std::ssize(list), position = i < 0 && i >= -count ? i + count : i;
    return position >= 0 && position < count ? list[static_cast<std::size_t>(position)]
                                             : Value(Undefined{});
}

Value slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
    const auto& list = *require<ListPointer>(object, "[:]");
    const Integer count = std::ssize(list);
    const auto bound = [&](const Value& value, Integer otherwise) {
        if (!std::holds_alternative<Integer>(value))
            return otherwise;
        const Integer given = std::get<Integer>(value);
        return std::clamp<Integer>(given < 0 ? std::max(given, -count) + count : given, 0, count);
    };
    auto result = std::make_shared<List>();
    if (std::holds_alternative<Integer>(step)) {
        if (std::get<Integer>(step) != -1 || !std::holds_alternative<None>(start) ||
            !std::holds_alternative<None>(stop))
            unsupported("a slice with", "a step");
        result->assign(list.rbegin(), list.rend());
    } else {
        for (Integer i = bound(start, 0); i < bound(stop, count); ++i)
            result->push_back(list[static_cast<std::size_t>(i)]);
    }
    return ListPointer(std::move(result));
}

Value binary(const std::string& name, const Value& a, const Value& b) {
    if (name == "==" || name == "!=")
        return equal(a, b) == (name == "==");
    if (name == "in")
        return is_in(a, b);
    if (name == "~")
        return joined(to_text(a), to_text(b));
    if (name == "+" && !std::holds_alternative<Integer>(a))
        return add(a, b);
    const Integer left = require<Integer>(a, name), right = require<Integer>(b, name);
    if (name == "<" || name == ">=")
        return (left < right) == (name == "<");
    if (name == ">" || name == "<=")
        return (left > right) == (name == ">");
    return calculate(name, left, right);
}

Value method(const std::string& name, const Value& object, const List& arguments) {
    if (const auto* dictionary = std::get_if<DictionaryPointer>(&object)) {
        if (name != "get" || arguments.empty())
            unsupported("the method", name);
        const auto found = (*dictionary)->find(require<Text>(arguments[0], name).bytes());
        const Value otherwise = arguments.size() > 1 ? arguments[1] : Value(None{});
        return found == (*dictionary)->end() ? otherwise : found->second;
    }
    const auto& text = require<Text>(object, name);
    std::vector<Text> texts;
    for (const Value& argument : arguments)
        texts.push_back(require<Text>(argument, name));
    const auto characters = texts.empty() ? std::nullopt : std::optional(texts[0].bytes());
    if (name == "strip" || name == "lstrip" || name == "rstrip")
        return strip(text,
                     name == "strip"    ? Side::both
                     : name == "lstrip" ? Side::left
                                        : Side::right,
                     characters);
    if (name == "split" && texts.size() == 1)
        return split(text, texts[0].bytes());
    if (name == "startswith" && texts.size() == 1)
        return text.bytes().starts_with(texts[0].bytes());
    if (name == "endswith" && texts.size() == 1)
        return text.bytes().ends_with(texts[0].bytes());
    if (name == "replace" && texts.size() == 2)
        return replace_all(text, texts[0].bytes(), texts[1]);
    unsupported("the method", name);
}

Value filter(const std::string& name, const Value& value, const List& arguments) {
    if (name == "trim" && arguments.empty())
        return strip(to_text(value), Side::both, std::nullopt);
    if (name == "length" || name == "count")
        return length(value);
    if (name == "string")
        return to_text(value);
    if (name == "list" && std::holds_alternative<ListPointer>(value))
        return value;
    if (name == "first" || name == "last")
        return item(value, Integer{name == "first" ? 0 : -1});
    if (name == "default" && arguments.size() == 1)
        return is_undefined(value) ? arguments[0] : value;
    unsupported("the filter", name);
}

Value test(const std::string& name, const Value& value, const List& arguments) {
    if (name == "defined")
        return !is_undefined(value);
    if (name == "undefined")
        return is_undefined(value);
    if (name == "none")
        return std::holds_alternative<None>(value);
    if (name == "string")
        return std::holds_alternative<Text>(value);
    if (name == "mapping")
        return std::holds_alternative<DictionaryPointer>(value);
    if (name == "iterable" || name == "sequence")
        return std::holds_alternative<Text>(value) || std::holds_alternative<ListPointer>(value) ||
               std::holds_alternative<DictionaryPointer>(value);
    if (name == "true" || name == "false")
        return std::holds_alternative<bool>(value) && std::get<bool>(value) == (name == "true");
    if (name == "boolean")
        return std::holds_alternative<bool>(value);
    if (arguments.size() == 1 && (name == "equalto" || name == "eq"))
        return equal(value, arguments[0]);
    unsupported("the test", name);
}

}  // namespace popalign::lm::jinja
