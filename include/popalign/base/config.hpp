#pragma once

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

/// Throws InputError with file and line for malformed YAML, repeated keys, aliases and merges.
ConfigNode load_config(const std::filesystem::path& path);
/// `file` is what messages call the text.
ConfigNode parse_config(const std::string& text, const std::string& file);
/// `assignment` is `key.path=value`, the value in YAML; list items are addressed by index.
void apply_override(ConfigNode& root, const std::string& assignment);

enum class Presence { optional, required };

/// Structs that are configured have `template <class Visitor> void visit(Visitor& v)`, which names
/// each member once: `v.field("beta", beta, "what it is for")`. Reading, printing and documenting
/// all use that one description.
template <class T>
concept Configurable = requires(T& value, struct ConfigProbe& probe) {
    value.visit(probe);
};

struct ConfigProbe {
    template <class T>
    void field(std::string_view, T&, std::string_view, Presence = Presence::optional) {}
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
};
template <class T>
struct Shape<std::map<std::string, T>> {
    static constexpr bool optional = false, list = false, table = true;
};

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
    void field(std::string_view name, T& value, std::string_view,
               Presence presence = Presence::optional) {
        known_.emplace_back(name);
        if (const ConfigNode* child = node_.find(name))
            read_config(*child, value, config_detail::join(path_, name));
        else if (presence == Presence::required)
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
                read_config(child, value[key], config_detail::join(path, key));
        }
    } else if constexpr (Configurable<T>) {
        ConfigReader reader(node, path);
        value.visit(reader);
        reader.finish();
    } else {
        config_detail::parse(node, path, value);
    }
}

/// `value` as YAML with every default filled in; reading it back gives the same value.
template <class T>
std::string print_config(const T& value, int indent = 0);

class ConfigPrinter {
  public:
    explicit ConfigPrinter(int indent) : indent_(indent) {}

    template <class T>
    void field(std::string_view name, T& value, std::string_view, Presence = Presence::optional) {
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

/// One line of the reference: the key's path, its default and what it is for.
struct ConfigEntry {
    std::string path, value, documentation;
};

class ConfigDocumenter {
  public:
    explicit ConfigDocumenter(std::string path) : path_(std::move(path)) {}

    template <class T>
    void field(std::string_view name, T& value, std::string_view documentation,
               Presence presence = Presence::optional) {
        const std::string path = config_detail::join(path_, name);
        if constexpr (Configurable<T>) {
            entries_.push_back({path, "", std::string(documentation)});
            descend(value, path);
        } else {
            using Shape = config_detail::Shape<T>;
            std::string shown = presence == Presence::required ? "required" : print_config(value);
            while (!shown.empty() && (shown.back() == '\n' || shown.front() == ' '))
                shown.back() == '\n' ? shown.pop_back() : (void)shown.erase(0, 1);
            entries_.push_back({path, shown, std::string(documentation)});
            if constexpr (Shape::list) {
                typename T::value_type item{};
                if constexpr (Configurable<typename T::value_type>)
                    descend(item, path + "[]");
            } else if constexpr (Shape::table) {
                typename T::mapped_type item{};
                if constexpr (Configurable<typename T::mapped_type>)
                    descend(item, path + ".<name>");
            }
        }
    }
    const std::vector<ConfigEntry>& entries() const { return entries_; }

  private:
    template <class T>
    void descend(T& value, const std::string& path) {
        ConfigDocumenter inner(path);
        value.visit(inner);
        entries_.insert(entries_.end(), inner.entries_.begin(), inner.entries_.end());
    }

    std::string path_;
    std::vector<ConfigEntry> entries_;
};

}  // namespace popalign
