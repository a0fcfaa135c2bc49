#pragma once

#include <popalign/base/enum_names.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace popalign {

/// One node of a parsed YAML document, with the place it came from for messages.
struct ConfigNode {
    enum class Kind { null, scalar, sequence, mapping };

    Kind kind = Kind::null;
    std::string scalar;
    struct Child;
    std::vector<Child> children;
    std::string file;
    std::size_t line = 0;

    const ConfigNode* find(std::string_view key) const;
};

struct ConfigNode::Child {
    std::string key;  ///< empty in a sequence
    ConfigNode node;
};

/// Reads a YAML file. Throws InputError with file and line for malformed YAML, repeated keys,
/// aliases and merges.
ConfigNode load_config(const std::filesystem::path& path);
/// Parses YAML text. `file` is the name used in messages. Throws as `load_config`.
ConfigNode parse_config(const std::string& text, const std::string& file);
/// Sets one key. `assignment` is `key.path=value`, the value in YAML; list items are addressed by
/// index.
void apply_override(ConfigNode& root, const std::string& assignment);

enum class Presence { optional, required };

/// Effect of a key on the results of a run. It decides which keys name the parts of a sweep and
/// which are compared before a run is resumed (base/fingerprint.hpp).
enum class Effect {
    result,  ///< changes the results
    speed,   ///< changes only time, memory, limits, reports or locations of files
    model,   ///< names an entry of `models`, whose own keys and files change the results
    file     ///< names a file or folder whose content changes the results
};
constexpr auto names_of(Effect) {
    return std::to_array<Named<Effect>>({{Effect::result, "result"},
                                         {Effect::speed, "speed"},
                                         {Effect::model, "model"},
                                         {Effect::file, "file"}});
}

/// Last argument of `field`: a presence, an effect, or `{presence, effect}`.
struct KeyTraits {
    KeyTraits() = default;
    KeyTraits(Presence p) : presence(p) {}
    KeyTraits(Effect e) : effect(e) {}
    KeyTraits(Presence p, Effect e) : presence(p), effect(e) {}

    Presence presence = Presence::optional;
    Effect effect = Effect::result;  ///< a section's `speed` holds for all its keys
};

/// A struct that can be read from a config. It has `template <class Visitor> void visit(Visitor&
/// v)`, which names each member once: `v.field("beta", beta, "what it is for")`. Reading, printing,
/// documentation and fingerprints all use this description.
template <class T>
concept Configurable = requires(T& value, struct ConfigProbe& probe) {
    value.visit(probe);
};

struct ConfigProbe {
    template <class T>
    void field(std::string_view, T&, std::string_view, KeyTraits = {}) {}
};

namespace config_detail {

[[noreturn]] void fail(const ConfigNode& node, const std::string& path, std::string_view problem);
void parse(const ConfigNode& node, const std::string& path, bool& value);
void parse(const ConfigNode& node, const std::string& path, std::int64_t& value);
void parse(const ConfigNode& node, const std::string& path, std::uint64_t& value);
void parse(const ConfigNode& node, const std::string& path, double& value);
void parse(const ConfigNode& node, const std::string& path, std::string& value);
std::string text(bool value);
std::string text(std::int64_t value);
std::string text(std::uint64_t value);
std::string text(double value);
std::string text(const std::string& value);
void expect(const ConfigNode& node, const std::string& path, ConfigNode::Kind kind);
std::string join(const std::string& path, std::string_view name);

template <class T>
struct Shape {
    static constexpr bool optional = false, list = false, table = false;
};
template <class T>
struct Shape<std::optional<T>> {
    static constexpr bool optional = true, list = false, table = false;
};
template <class T>
struct Shape<std::vector<T>> {
    static constexpr bool optional = false, list = true, table = false;
    using Item = T;
};
template <class Key, class T, class Order>
struct Shape<std::map<Key, T, Order>> {
    static constexpr bool optional = false, list = false, table = true;
    using Item = T;
};

template <NamedEnum Enum>
Enum parse_name(const ConfigNode& node, const std::string& path, const std::string& name) {
    if (const auto value = value_of<Enum>(name))
        return *value;
    fail(node, path, "'" + name + "' is not " + list_names<Enum>());
}

template <NamedEnum Enum>
void parse(const ConfigNode& node, const std::string& path, Enum& value) {
    expect(node, path, ConfigNode::Kind::scalar);
    value = parse_name<Enum>(node, path, node.scalar);
}

template <NamedEnum Enum>
std::string text(Enum value) {
    return std::string(name_of(value));
}

/// A key of a mapping: a text, or a name of an enum.
template <class Key>
Key key_of(const ConfigNode& node, const std::string& path, const std::string& text) {
    if constexpr (NamedEnum<Key>)
        return parse_name<Key>(node, path, text);
    else
        return text;
}

/// Returns whether T, or an item of T, has keys of its own.
template <class T>
constexpr bool holds_sections() {
    if constexpr (Shape<T>::list || Shape<T>::table)
        return Configurable<typename Shape<T>::Item>;
    else
        return Configurable<T>;
}

}  // namespace config_detail

/// Fills `value` from `node`; a key that no member has is an error naming file and line.
template <class T>
void read_config(const ConfigNode& node, T& value, const std::string& path = "");

class ConfigReader {
  public:
    ConfigReader(const ConfigNode& node, std::string path) : node_(node), path_(std::move(path)) {
        config_detail::expect(node_, path_, ConfigNode::Kind::mapping);
    }

    template <class T>
    void field(std::string_view name, T& value, std::string_view, KeyTraits traits = {}) {
        known_.emplace_back(name);
        if (const ConfigNode* child = node_.find(name))
            read_config(*child, value, config_detail::join(path_, name));
        else if (traits.presence == Presence::required)
            missing(name);
    }
    void finish() const;

  private:
    [[noreturn]] void missing(std::string_view name) const;

    const ConfigNode& node_;
    std::string path_;
    std::vector<std::string> known_;
};

template <class T>
void read_config(const ConfigNode& node, T& value, const std::string& path) {
    using Shape = config_detail::Shape<T>;
    if constexpr (Shape::optional) {
        if (node.kind == ConfigNode::Kind::null)
            value.reset();
        else
            read_config(node, value.emplace(), path);
    } else if constexpr (Shape::list || Shape::table) {
        constexpr auto kind = Shape::list ? ConfigNode::Kind::sequence : ConfigNode::Kind::mapping;
        config_detail::expect(node, path, kind);
        value.clear();
        for (std::size_t i = 0; i < node.children.size(); ++i) {
            const auto& [key, child] = node.children[i];
            if constexpr (Shape::list)
                read_config(child, value.emplace_back(),
                            config_detail::join(path, std::to_string(i)));
            else
                read_config(child,
                            value[config_detail::key_of<typename T::key_type>(child, path, key)],
                            config_detail::join(path, key));
        }
    } else if constexpr (Configurable<T>) {
        ConfigReader reader(node, path);
        value.visit(reader);
        reader.finish();
    } else {
        config_detail::parse(node, path, value);
    }
}

/// Returns `value` as YAML with all defaults filled in. Reading it back gives the same value.
template <class T>
std::string print_config(const T& value, int indent = 0);
/// Returns printed YAML with spaces for line ends, for people and for fingerprints. The result is
/// no longer YAML.
std::string on_one_line(const std::string& yaml);

class ConfigPrinter {
  public:
    explicit ConfigPrinter(int indent) : indent_(indent) {}

    template <class T>
    void field(std::string_view name, T& value, std::string_view, KeyTraits = {}) {
        text_ += std::string(static_cast<std::size_t>(indent_), ' ') + std::string(name) + ":" +
                 print_config(value, indent_ + 2);
    }
    const std::string& text() const { return text_; }

  private:
    int indent_;
    std::string text_;
};

template <class T>
std::string print_config(const T& value, int indent) {
    using Shape = config_detail::Shape<T>;
    const std::string margin(static_cast<std::size_t>(indent), ' ');
    if constexpr (Shape::optional) {
        return value ? print_config(*value, indent) : std::string(" null\n");
    } else if constexpr (Shape::list) {
        if (value.empty())
            return " []\n";
        std::string text = "\n";
        for (const auto& item : value) {
            std::string body = print_config(item, indent + 2);
            // A mapping's first line moves up beside the dash.
            const auto start = body.find_first_not_of(" \n");
            text += margin + "- " + body.substr(start == std::string::npos ? 0 : start);
        }
        return text;
    } else if constexpr (Shape::table) {
        if (value.empty())
            return " {}\n";
        std::string text = "\n";
        for (const auto& [key, item] : value)
            text += margin + config_detail::text(key) + ":" + print_config(item, indent + 2);
        return text;
    } else if constexpr (Configurable<T>) {
        ConfigPrinter printer(indent);
        const_cast<T&>(value).visit(printer);  // visiting does not change what is printed
        return (indent == 0 ? "" : "\n") + printer.text();
    } else {
        return " " + config_detail::text(value) + "\n";
    }
}

}  // namespace popalign
