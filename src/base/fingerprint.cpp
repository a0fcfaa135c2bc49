#include <popalign/base/error.hpp>
#include <popalign/base/fingerprint.hpp>
#include <popalign/base/hash.hpp>

#include <fmt/format.h>

namespace popalign {

void require_same(const Fingerprint& before, const Fingerprint& now, const std::string& where) {
    const auto value_in = [](const Fingerprint& fingerprint, const std::string& name) {
        const auto entry = fingerprint.find(name);
        return entry == fingerprint.end() ? std::string("nothing") : entry->second;
    };
    Fingerprint both = before;
    both.insert(now.begin(), now.end());
    for (const auto& [name, value] : both) {
        const std::string old = value_in(before, name), current = value_in(now, name);
        if (old != current)
            throw UsageError(fmt::format(
                "{}: made with {} = {}, which is now {} (the result would be neither run's); "
                "restore it or choose another run.directory",
                where, name, old, current));
    }
}

std::string fingerprint_hash(const Fingerprint& fingerprint) {
    std::string text;
    for (const auto& [name, value] : fingerprint)
        text += name + "=" + value + "\n";
    return sha256_hex(text);
}

std::string FingerprintVisitor::trimmed(const std::string& text) {
    std::string line;
    for (const char c : text)
        if (c != '\n')
            line += c;
        else if (!line.empty() && line.back() != ' ')
            line += ' ';
    const auto first = line.find_first_not_of(' ');
    const auto last = line.find_last_not_of(' ');
    return first == std::string::npos ? "" : line.substr(first, last - first + 1);
}

}  // namespace popalign
