#pragma once

#include <filesystem>

namespace popalign::evaluation {

/// The folder of real data beside the repository.
std::filesystem::path shared_data();

}  // namespace popalign::evaluation

/// Skips the test, with the reason, where `path` is absent.
#define POPALIGN_NEEDS(path)            \
    if (!std::filesystem::exists(path)) \
    GTEST_SKIP() << (path) << " is absent; it lies beside the repository where there is one"
