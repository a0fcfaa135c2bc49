#pragma once

#include <popalign/base/config.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace popalign {

/// A key of a config with its current value.
struct ConfigValue {
    std::string path;      ///< as in --set: list items by index
    std::string yaml;      ///< the value as printed by `print_config`
    std::string bare;      ///< the value without YAML quotes; empty unless it is a string
    Effect effect;         ///< of the key, or of its section
    bool section = false;  ///< has keys of its own, which follow
};

/// Returns all keys of `value`, each before the keys inside it. `path` is the path of `value`
/// itself.
template <class T>
std::vector<ConfigValue> config_values(const T& value, const std::string& path = "",
                                       Effect above = Effect::result);

class ConfigWalker {
  public:
    ConfigWalker(std::string path, Effect above) : path_(std::move(path)), above_(above) {}

    template <class T>
    void field(std::string_view name, T& value, std::string_view, KeyTraits traits = {}) {
        add(config_detail::join(path_, name), value,
            above_ == Effect::speed ? Effect::speed : traits.effect);
    }
    template <class T>
    void add(const std::string& path, const T& value, Effect effect) {
        using Shape = config_detail::Shape<T>;
        constexpr bool section = config_detail::holds_sections<T>();
        values_.push_back({path, print_config(value), "", effect, section});
        if constexpr (std::is_same_v<T, std::string>)
            values_.back().bare = value;
        if constexpr (section && Shape::list)
            for (std::size_t i = 0; i < value.size(); ++i)
                add(config_detail::join(path, std::to_string(i)), value[i], effect);
        else if constexpr (section && Shape::table)
            for (const auto& [key, item] : value)
                add(config_detail::join(path, key), item, effect);
        else if constexpr (section)
            for (ConfigValue& inner : config_values(value, path, effect))
                values_.push_back(std::move(inner));
    }
    std::vector<ConfigValue> take() { return std::move(values_); }

  private:
    std::string path_;
    Effect above_;
    std::vector<ConfigValue> values_;
};

template <class T>
std::vector<ConfigValue> config_values(const T& value, const std::string& path, Effect above) {
    ConfigWalker walker(path, above);
    const_cast<T&>(value).visit(walker);  // visiting does not change what is walked over
    return walker.take();
}

}  // namespace popalign
