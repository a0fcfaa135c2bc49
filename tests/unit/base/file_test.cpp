#include "support/temporary_directory.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>

#include <gtest/gtest.h>

namespace popalign {
namespace {

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
    const test::TemporaryDirectory directory;
    const auto path = directory / "out.txt";
    {
        AtomicFile file(path);
        file.write("half");
        EXPECT_FALSE(std::filesystem::exists(path));
    }
    EXPECT_TRUE(std::filesystem::is_empty(directory.path())) << "nothing may be left behind";
    write_text_file(path, "whole");
    write_text_file(path, "newer");
    EXPECT_EQ(read_text_file(path), "newer");
}

TEST(AtomicFile, AFullDiskIsOneClearErrorAndLeavesNothing) {
    if (!std::filesystem::exists("/dev/full"))
        GTEST_SKIP() << "there is no /dev/full here";
    const test::TemporaryDirectory directory;
    const auto path = directory / "out";
    std::filesystem::create_symlink("/dev/full", partial_path(path));
    try {
        write_text_file(path, "text");
        FAIL() << "writing to a full disk must throw";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos);
    }
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(MappedFile, RefusesWhatIsNoFile) {
    EXPECT_THROW(MappedFile("/nonexistent/file"), Error);
    EXPECT_THROW(MappedFile("/"), Error);
}

}  // namespace
}  // namespace popalign
