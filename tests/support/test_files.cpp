#include "support/test_files.hpp"

#include <cstdlib>

namespace popalign::test {
namespace {

/// `name` below the folder that an environment variable names; CTest sets them.
std::filesystem::path below(const char* variable, const std::filesystem::path& name) {
    const char* folder = std::getenv(variable);
    return std::filesystem::path(folder != nullptr && *folder != '\0' ? folder : variable) / name;
}

}  // namespace

std::filesystem::path source_file(const std::filesystem::path& name) {
    return below("POPALIGN_SOURCE_DIR", name);
}

std::filesystem::path published_file(const std::filesystem::path& name) {
    return below("POPALIGN_TEST_DATA", name);
}

}  // namespace popalign::test
