#pragma once

#include "lm/chat_template_jinja.hpp"

/// What templates do to values, as Python and Jinja define it. All throw Raised for values of the
/// wrong type, and UsageError for what is not supported.
namespace popalign::jinja {

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

}  // namespace popalign::jinja
