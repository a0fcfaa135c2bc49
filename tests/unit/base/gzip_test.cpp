#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/gzip.hpp>

#include <gtest/gtest.h>
#include <support/temporary_directory.hpp>

#include <string>

namespace popalign {
namespace {

using namespace std::string_literals;

// printf 'hello\n' | gzip -n
const std::string packed =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\xe7\x02\x00\x20\x30\x3a\x36\x06"
    "\x00"
    "\x00\x00"s;

TEST(Gzip, UnpacksByName) {
    const test::TemporaryDirectory directory;
    write_text_file(directory.path() / "a.txt", "plain");
    write_text_file(directory.path() / "a.txt.gz", packed);
    EXPECT_EQ(read_text_or_gzip(directory.path() / "a.txt"), "plain");
    EXPECT_EQ(read_text_or_gzip(directory.path() / "a.txt.gz"), "hello\n");
}

TEST(Gzip, RefusesWhatIsCutOffDamagedMissingOrTooLarge) {
    const test::TemporaryDirectory directory;
    const auto path = directory.path() / "a.gz";
    EXPECT_THROW(read_text_or_gzip(path), InputError);
    for (std::size_t length = 0; length < packed.size(); ++length) {
        write_text_file(path, packed.substr(0, length));
        EXPECT_THROW(read_text_or_gzip(path), InputError) << length;
    }
    std::string damaged = packed;
    damaged[packed.size() - 6] ^= 1;
    write_text_file(path, damaged);
    EXPECT_THROW(read_text_or_gzip(path), InputError);
    write_text_file(path, packed);
    EXPECT_THROW(read_text_or_gzip(path, 5), InputError);
    write_text_file(path, "never packed");
    EXPECT_THROW(read_text_or_gzip(path), InputError);
}

}  // namespace
}  // namespace popalign
