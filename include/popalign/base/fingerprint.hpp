#pragma once

#include <popalign/base/config.hpp>

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace popalign {

/// Everything that determines a run's result, by name; what only changes its speed is not in it.
using Fingerprint = std::map<std::string, std::string>;

/// Throws UsageError naming the first difference. `where` holds what was made with `before`.
void require_same(const Fingerprint& before, const Fingerprint& now, const std::string& where);

std::string fingerprint_hash(const Fingerprint& fingerprint);

/// Collects a config's fields but those in `without`.
class FingerprintVisitor {
  public:
    explicit FingerprintVisitor(std::set<std::string, std::less<>> without)
        : without_(std::move(without)) {}

    template <class T>
    void field(std::string_view name, T& value, std::string_view, Presence = Presence::optional) {
        if (!without_.contains(name))
            fingerprint_.emplace(name, trimmed(print_config(value)));
    }
    const Fingerprint& fingerprint() const noexcept { return fingerprint_; }

  private:
    static std::string trimmed(const std::string& text);

    std::set<std::string, std::less<>> without_;
    Fingerprint fingerprint_;
};

}  // namespace popalign
