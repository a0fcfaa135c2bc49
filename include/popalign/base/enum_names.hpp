#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace popalign {

/// A value of an enum and its name in configs, on the command line and in files.
template <class Enum>
struct Named {
    Enum value;
    std::string_view name;
    std::string_view meaning = {};  ///< for the config reference, where the name does not say it
};

/// An enum with a table of its names beside it: `constexpr auto names_of(Enum)`, a std::array of
/// Named that argument-dependent lookup finds. It need not name every value.
template <class Enum>
concept NamedEnum = std::is_enum_v<Enum> && requires {
    names_of(Enum{});
};

/// Returns the name of a value; empty if it has none.
template <NamedEnum Enum>
constexpr std::string_view name_of(Enum value) {
    for (const Named<Enum>& named : names_of(Enum{}))
        if (named.value == value)
            return named.name;
    return {};
}

/// Returns the value of a name; nothing if the name is not in the table.
template <NamedEnum Enum>
constexpr std::optional<Enum> value_of(std::string_view name) {
    for (const Named<Enum>& named : names_of(Enum{}))
        if (named.name == name)
            return named.value;
    return std::nullopt;
}

/// Returns "a, b or c".
std::string join_alternatives(const std::vector<std::string>& texts);

/// Returns all names, joined for messages.
template <NamedEnum Enum>
std::string list_names() {
    std::vector<std::string> texts;
    for (const Named<Enum>& named : names_of(Enum{}))
        texts.emplace_back(named.name);
    return join_alternatives(texts);
}

/// Returns all names, each with its meaning in brackets.
template <NamedEnum Enum>
std::string describe_names() {
    std::vector<std::string> texts;
    for (const Named<Enum>& named : names_of(Enum{})) {
        texts.emplace_back(named.name);
        if (!named.meaning.empty())
            texts.back().append(" (").append(named.meaning).append(")");
    }
    return join_alternatives(texts);
}

}  // namespace popalign
