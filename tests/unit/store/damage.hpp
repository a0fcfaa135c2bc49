#pragma once

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <string_view>

namespace popalign::test {

/// Without the flush that `write_text_file` waits for.
inline void overwrite(const std::filesystem::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// Calls `read` on the file cut at every `step`-th byte and with 1 to 3 bytes changed at seeded
/// places, `changes` times. It may succeed or throw Error; anything else ends the test.
inline void read_damaged(const std::filesystem::path& path, std::size_t step, int changes,
                         const std::function<void(const std::filesystem::path&)>& read) {
    const std::string whole = read_text_file(path);
    std::filesystem::path damaged = path;
    damaged.replace_filename("damaged" + path.extension().native());
    const auto attempt = [&](const std::string& bytes, const std::string& what) {
        overwrite(damaged, bytes);
        try {
            read(damaged);
        } catch (const Error& error) {
            EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos) << what;
        } catch (const std::exception& error) {
            FAIL() << what << ": " << error.what();
        }
    };
    for (std::size_t size = 0; size < whole.size(); size += step)
        attempt(whole.substr(0, size), "cut at " + std::to_string(size));
    std::mt19937_64 random(1);
    for (int change = 0; change < changes; ++change) {
        std::string bytes = whole;
        for (std::uint64_t i = 0, count = 1 + random() % 3; i < count; ++i)
            bytes[random() % bytes.size()] = static_cast<char>(random());
        attempt(bytes, "change " + std::to_string(change));
    }
}

}  // namespace popalign::test
