#include <popalign/base/memory.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace popalign {
namespace {

constexpr auto unlimited = std::numeric_limits<std::uint64_t>::max();

/// Returns the number in a file; nothing for `max` or if the file does not exist.
std::optional<std::uint64_t> read_number(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    return file >> number ? std::optional(number) : std::nullopt;
}

std::uint64_t left_in_group(const std::string& folder) {
    const auto limit = read_number(folder + "/memory.max");
    const auto used = read_number(folder + "/memory.current");
    if (!limit || !used)
        return unlimited;
    return *limit - std::min(*limit, *used);
}

/// Returns the smallest remaining memory of the control groups (version 2) from that of this
/// process up to the root.
std::uint64_t left_in_groups() {
    std::ifstream file("/proc/self/cgroup");
    std::uint64_t left = unlimited;
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("0::"))
            continue;
        for (std::string path = line.substr(3); path.size() > 1 && path.front() == '/';
             path.resize(path.rfind('/')))
            left = std::min(left, left_in_group("/sys/fs/cgroup" + path));
    }
    return std::min(left, left_in_group("/sys/fs/cgroup"));
}

}  // namespace

std::uint64_t peak_memory() {
    struct rusage usage {};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

std::uint64_t available_memory() {
    std::ifstream file("/proc/meminfo");
    std::uint64_t available = unlimited;
    for (std::string name, unit; file >> name;) {
        std::uint64_t kibibytes = 0;
        file >> kibibytes;
        std::getline(file, unit);
        if (name == "MemAvailable:")
            available = kibibytes * 1024;
    }
    return std::min(available, left_in_groups());
}

}  // namespace popalign
