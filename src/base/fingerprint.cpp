#include <popalign/base/error.hpp>
#include <popalign/base/fingerprint.hpp>
#include <popalign/base/hash.hpp>

#include <fmt/format.h>

namespace popalign {

std::optional<std::string> difference(const Fingerprint& before, const Fingerprint& now) {
    const auto value_in = [](const Fingerprint& fingerprint, const std::string& name) {
        const auto entry = fingerprint.find(name);
        return entry == fingerprint.end() ? std::string("(not given)") : entry->second;
    };
    Fingerprint both = before;
    both.insert(now.begin(), now.end());
    for (const auto& [name, value] : both)
        if (value_in(before, name) != value_in(now, name))
            return fmt::format("made with {} = {}, which is now {}", name, value_in(before, name),
                               value_in(now, name));
    return std::nullopt;
}

void require_same(const Fingerprint& before, const Fingerprint& now, const std::string& where) {
    if (const auto found = difference(before, now))
        throw UsageError(
            fmt::format("{}: {} (the result would be neither run's); restore it or choose another "
                        "run.directory",
                        where, *found));
}

std::string fingerprint_hash(const Fingerprint& fingerprint) {
    std::string text;
    for (const auto& [name, value] : fingerprint)
        text += name + "=" + value + "\n";
    return sha256_hex(text);
}

}  // namespace popalign
