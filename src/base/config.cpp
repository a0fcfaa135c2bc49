#include <popalign/base/config.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>

namespace popalign {
namespace {

constexpr int maximum_depth = 32;

std::size_t line_of(const YAML::Mark& mark) {
    return mark.is_null() ? 1 : static_cast<std::size_t>(mark.line) + 1;
}

/// Refuses anchors: aliases to them could blow a small file up to any size, and nothing needs them.
class AnchorGuard final : public YAML::EventHandler {
  public:
    explicit AnchorGuard(const std::string& file) : file_(file) {}

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { check(mark, anchor); }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override { check(mark, anchor); }
    void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  const std::string&) override {
        check(mark, anchor);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        check(mark, anchor);
    }
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        check(mark, anchor);
    }
    void OnMapEnd() override {}

  private:
    void check(const YAML::Mark& mark, YAML::anchor_t anchor) const {
        if (anchor != 0)
            throw InputError(file_, line_of(mark), "YAML anchors and aliases are not supported");
    }
    const std::string& file_;
};

ConfigNode convert(const YAML::Node& node, const std::string& file, int depth) {
    ConfigNode result;
    result.file = file;
    result.line = line_of(node.Mark());
    if (depth > maximum_depth)
        throw InputError(file, result.line, "nested too deeply (more than 32 levels)");
    switch (node.Type()) {
        case YAML::NodeType::Scalar:
            result.kind = ConfigNode::Kind::scalar;
            result.scalar = node.Scalar();
            break;
        case YAML::NodeType::Sequence:
            result.kind = ConfigNode::Kind::sequence;
            for (const auto& child : node)
                result.children.emplace_back("", convert(child, file, depth + 1));
            break;
        case YAML::NodeType::Map: {
            result.kind = ConfigNode::Kind::mapping;
            std::set<std::string> seen;
            for (const auto& entry : node) {
                const YAML::Node& key = entry.first;
                if (!key.IsScalar() || !seen.insert(key.Scalar()).second)
                    throw InputError(file, line_of(key.Mark()),
                                     "a key is repeated or is no plain text; give each key once");
                result.children.emplace_back(key.Scalar(), convert(entry.second, file, depth + 1));
            }
            break;
        }
        case YAML::NodeType::Null:
        case YAML::NodeType::Undefined:
            break;
    }
    return result;
}

template <class Number>
Number parse_number(const ConfigNode& node, const std::string& path, std::string_view wanted) {
    config_detail::expect(node, path, ConfigNode::Kind::scalar);
    Number value{};
    const char* end = node.scalar.data() + node.scalar.size();
    const auto [stop, code] = std::from_chars(node.scalar.data(), end, value);
    if (code != std::errc{} || stop != end)
        config_detail::fail(node, path, fmt::format("'{}' is not {}", node.scalar, wanted));
    return value;
}

/// The child of that key, made if it is not there; `assignment` is what asks for it.
ConfigNode& descend(ConfigNode& node, const std::string& key, const std::string& assignment) {
    if (node.kind == ConfigNode::Kind::sequence) {
        std::size_t index = node.children.size();
        std::from_chars(key.data(), key.data() + key.size(), index);
        if (index >= node.children.size())
            throw UsageError(
                fmt::format("--set: no item '{}' in the list at {}:{}", key, node.file, node.line));
        return node.children[index].node;
    }
    if (node.kind == ConfigNode::Kind::scalar)
        throw UsageError(fmt::format("--set: '{}' lies below a plain value at {}:{}", key,
                                     node.file, node.line));
    node.kind = ConfigNode::Kind::mapping;
    for (auto& [name, child] : node.children)
        if (name == key)
            return child;
    ConfigNode child;
    child.file = "--set " + assignment;
    child.line = 1;
    return node.children.emplace_back(key, std::move(child)).node;
}

}  // namespace

std::string join_alternatives(const std::vector<std::string>& texts) {
    std::string joined;
    for (std::size_t i = 0; i < texts.size(); ++i)
        joined += (i == 0 ? "" : i + 1 < texts.size() ? ", " : " or ") + texts[i];
    return joined;
}

const ConfigNode* ConfigNode::find(std::string_view key) const {
    for (const auto& [name, child] : children)
        if (name == key)
            return &child;
    return nullptr;
}

ConfigNode parse_config(const std::string& text, const std::string& file) {
    try {
        std::istringstream stream(text);
        AnchorGuard guard(file);
        YAML::Parser(stream).HandleNextDocument(guard);
        ConfigNode root = convert(YAML::Load(text), file, 0);
        if (root.kind == ConfigNode::Kind::null)
            root.kind = ConfigNode::Kind::mapping;
        return root;
    } catch (const YAML::Exception& error) {
        throw InputError(file, line_of(error.mark), fmt::format("not YAML ({})", error.msg));
    }
}

ConfigNode load_config(const std::filesystem::path& path) {
    if (!std::filesystem::is_regular_file(path))
        throw InputError(path.native(), "no such config file; give --config an existing file");
    return parse_config(read_text_file(path), path.native());
}

void apply_override(ConfigNode& root, const std::string& assignment) {
    const auto equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0)
        throw UsageError(fmt::format("--set {}: not of the form key.path=value", assignment));
    ConfigNode* node = &root;
    for (std::size_t at = 0; at < equals;) {
        const auto dot = std::min(assignment.find('.', at), equals);
        node = &descend(*node, assignment.substr(at, dot - at), assignment);
        at = dot + 1;
    }
    *node = parse_config("value: " + assignment.substr(equals + 1), "--set " + assignment)
                .children.at(0)
                .node;
}

std::string on_one_line(const std::string& yaml) {
    std::string line;
    for (const char c : yaml)
        if (c != '\n')
            line += c;
        else if (!line.empty() && line.back() != ' ')
            line += ' ';
    const auto first = line.find_first_not_of(' ');
    const auto last = line.find_last_not_of(' ');
    return first == std::string::npos ? "" : line.substr(first, last - first + 1);
}

void ConfigReader::finish() const {
    for (const auto& [key, child] : node_.children)
        if (std::find(known_.begin(), known_.end(), key) == known_.end())
            throw InputError(
                child.file, child.line,
                fmt::format("unknown key '{}' (known here: {}); correct it or take it out",
                            config_detail::join(path_, key), fmt::join(known_, ", ")));
}

void ConfigReader::missing(std::string_view name) const {
    throw InputError(
        node_.file, std::max<std::size_t>(node_.line, 1),
        fmt::format("'{}' is missing; give it a value", config_detail::join(path_, name)));
}

namespace config_detail {

void fail(const ConfigNode& node, const std::string& path, std::string_view problem) {
    throw InputError(node.file, node.line, fmt::format("{}: {}", path, problem));
}

void expect(const ConfigNode& node, const std::string& path, ConfigNode::Kind kind) {
    static constexpr std::string_view names[] = {"nothing", "a value", "a list", "a mapping"};
    if (node.kind != kind)
        fail(node, path.empty() ? "the document" : path,
             fmt::format("{} is given where {} is expected",
                         names[static_cast<std::size_t>(node.kind)],
                         names[static_cast<std::size_t>(kind)]));
}

std::string join(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : path + "." + std::string(name);
}

void parse(const ConfigNode& node, const std::string& path, bool& value) {
    expect(node, path, ConfigNode::Kind::scalar);
    if (node.scalar != "true" && node.scalar != "false")
        fail(node, path, fmt::format("'{}' is neither true nor false", node.scalar));
    value = node.scalar == "true";
}

void parse(const ConfigNode& node, const std::string& path, std::int64_t& value) {
    value = parse_number<std::int64_t>(node, path, "a whole number");
}

void parse(const ConfigNode& node, const std::string& path, std::uint64_t& value) {
    value = parse_number<std::uint64_t>(node, path, "a whole number of at least 0");
}

void parse(const ConfigNode& node, const std::string& path, double& value) {
    value = parse_number<double>(node, path, "a number");
    if (!std::isfinite(value))
        fail(node, path, "must be finite");
}

void parse(const ConfigNode& node, const std::string& path, std::string& value) {
    expect(node, path, ConfigNode::Kind::scalar);
    value = node.scalar;
}

std::string text(bool value) {
    return value ? "true" : "false";
}
std::string text(std::int64_t value) {
    return std::to_string(value);
}
std::string text(std::uint64_t value) {
    return std::to_string(value);
}
std::string text(double value) {
    return fmt::format("{}", value);
}

std::string text(const std::string& value) {
    YAML::Emitter emitter;
    emitter.SetStringFormat(YAML::DoubleQuoted);
    const bool plain = !value.empty() &&
                       value.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                           "WXYZ0123456789_-./") == std::string::npos &&
                       value != "true" && value != "false" && value != "null" &&
                       value.front() != '-';
    if (plain)
        return value;
    emitter << value;
    return emitter.c_str();
}

}  // namespace config_detail
}  // namespace popalign
