#pragma once

#include <popalign/base/config_values.hpp>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>

namespace popalign {

/// Everything that determines a run's result, by name; what only changes its speed is not in it.
using Fingerprint = std::map<std::string, std::string>;

/// "made with X = 1, which is now 2" of the first name that differs; nothing if none does.
std::optional<std::string> difference(const Fingerprint& before, const Fingerprint& now);

/// Throws UsageError naming the first difference. `where` holds what was made with `before`.
void require_same(const Fingerprint& before, const Fingerprint& now, const std::string& where);

std::string fingerprint_hash(const Fingerprint& fingerprint);

/// A section's keys with these effects and their values, by path as "train.beta". Who can hash what
/// a key of Effect::model or Effect::file names, takes those of Effect::result and adds the hashes;
/// who cannot, takes all three.
template <class Options>
Fingerprint keys_of(std::initializer_list<Effect> effects, const Options& options,
                    const std::string& section) {
    Fingerprint keys;
    for (const ConfigValue& value : config_values(options, section))
        if (std::ranges::find(effects, value.effect) != effects.end() && !value.section)
            keys.emplace(value.path, on_one_line(value.yaml));
    return keys;
}

/// The same without those that have their default: a key that is added later changes nothing.
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
