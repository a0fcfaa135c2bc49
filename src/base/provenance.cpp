#include "version.hpp"

#include <popalign/base/provenance.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <array>
#include <chrono>

namespace popalign {

std::string version() {
    return POPALIGN_VERSION;
}

std::string build_summary() {
    return fmt::format("popalign {} (commit {}, {}, {})", POPALIGN_VERSION, POPALIGN_COMMIT,
                       POPALIGN_COMPILER, POPALIGN_BACK_ENDS);
}

std::string provenance_json(int ranks, const std::string& command) {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    return nlohmann::json{{"program", "popalign"},
                          {"version", POPALIGN_VERSION},
                          {"commit", POPALIGN_COMMIT},
                          {"compiler", POPALIGN_COMPILER},
                          {"back_ends", POPALIGN_BACK_ENDS},
                          {"host", host.data()},
                          {"time", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now))},
                          {"ranks", ranks},
                          {"command", command}}
        .dump();
}

}  // namespace popalign
