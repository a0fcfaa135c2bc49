#pragma once

#include <popalign/base/config.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace popalign {

/// One line of the config reference: path of a key (`[]` and `<name>` stand for any item), default
/// value, effect (none for a section) and documentation.
struct ConfigEntry {
    std::string path, value;
    std::optional<Effect> effect;
    std::string documentation;
};

class ConfigDocumenter {
  public:
    explicit ConfigDocumenter(std::string path, Effect above = Effect::result)
        : path_(std::move(path)), above_(above) {}

    template <class T>
    void field(std::string_view name, T& value, std::string_view documentation,
               KeyTraits traits = {}) {
        using Shape = config_detail::Shape<T>;
        const std::string path = config_detail::join(path_, name);
        const Effect effect = above_ == Effect::speed ? Effect::speed : traits.effect;
        if constexpr (Configurable<T>) {
            entries_.push_back({path, "", std::nullopt, std::string(documentation)});
            descend(value, path, effect);
        } else {
            const bool required = traits.presence == Presence::required;
            entries_.push_back({path, required ? "required" : flow_text(value), effect,
                                described<T>(documentation)});
            if constexpr (config_detail::holds_sections<T>()) {
                typename Shape::Item item{};
                entries_.back().effect.reset();
                descend(item, path + (Shape::list ? "[]" : ".<name>"), effect);
            }
        }
    }
    const std::vector<ConfigEntry>& entries() const { return entries_; }

  private:
    /// Returns `value` as YAML on one line.
    template <class T>
    static std::string flow_text(const T& value) {
        std::string text;
        if constexpr (config_detail::Shape<T>::list) {
            for (const auto& item : value)
                text += (text.empty() ? "" : ", ") + flow_text(item);
            return "[" + text + "]";
        } else {
            return on_one_line(print_config(value));
        }
    }
    template <class T>
    static std::string described(std::string_view documentation) {
        std::string text(documentation);
        if constexpr (NamedEnum<T>)
            text += ": " + describe_names<T>();
        else if constexpr (config_detail::Shape<T>::list)
            if constexpr (NamedEnum<typename T::value_type>)
                text += ": " + describe_names<typename T::value_type>();
        return text;
    }
    template <class T>
    void descend(T& value, const std::string& path, Effect effect) {
        ConfigDocumenter inner(path, effect);
        value.visit(inner);
        entries_.insert(entries_.end(), inner.entries_.begin(), inner.entries_.end());
    }

    std::string path_;
    Effect above_;
    std::vector<ConfigEntry> entries_;
};

}  // namespace popalign
