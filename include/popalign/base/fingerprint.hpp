#pragma once

#include <popalign/base/config_values.hpp>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>

namespace popalign {

/// All settings that determine the result of a run, by name. Settings that change only its speed
/// are left out.
using Fingerprint = std::map<std::string, std::string>;

/// Returns "made with X = 1, which is now 2" for the first name that differs; nothing if none does.
std::optional<std::string> difference(const Fingerprint& before, const Fingerprint& now);

/// Throws UsageError naming the first difference. `where` is the place of the results made with
/// `before`, for the message.
void require_same(const Fingerprint& before, const Fingerprint& now, const std::string& where);

std::string fingerprint_hash(const Fingerprint& fingerprint);

/// Returns the keys of a section that have one of `effects`, with their values, by path such as
/// "train.beta". A caller that can hash the models and files named by keys of Effect::model and
/// Effect::file takes only Effect::result and adds the hashes; other callers take all three.
template <class Options>
Fingerprint keys_of(std::initializer_list<Effect> effects, const Options& options,
                    const std::string& section) {
    Fingerprint keys;
    for (const ConfigValue& value : config_values(options, section))
        if (std::ranges::find(effects, value.effect) != effects.end() && !value.section)
            keys.emplace(value.path, on_one_line(value.yaml));
    return keys;
}

/// As `keys_of`, without keys that have their default value: a key added in a later version does
/// not change the fingerprint.
template <class Options>
Fingerprint changed_keys_of(std::initializer_list<Effect> effects, const Options& options,
                            const std::string& section) {
    Fingerprint keys = keys_of(effects, options, section);
    for (const ConfigValue& value : config_values(Options{}, section))
        if (const auto found = keys.find(value.path);
            found != keys.end() && found->second == on_one_line(value.yaml))
            keys.erase(found);
    return keys;
}

}  // namespace popalign
