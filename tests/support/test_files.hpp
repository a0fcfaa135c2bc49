#pragma once

#include <filesystem>

namespace popalign::test {

/// A file of the repository, by its path in it.
std::filesystem::path source_file(const std::filesystem::path& name);

/// A file of POPALIGN_TEST_DATA, the folder of published data outside the repository.
std::filesystem::path published_file(const std::filesystem::path& name);

}  // namespace popalign::test

/// Skips the test, with the reason, where `path` is absent.
#define POPALIGN_NEEDS(path)            \
    if (!std::filesystem::exists(path)) \
    GTEST_SKIP() << (path) << " is absent (tests/README.md says where it comes from)"
