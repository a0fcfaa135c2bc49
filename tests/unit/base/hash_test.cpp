#include <popalign/base/hash.hpp>

#include <gtest/gtest.h>

#include <string_view>

namespace popalign {
namespace {

std::uint32_t crc(std::string_view text, std::uint32_t previous = 0) {
    return crc32c(std::as_bytes(std::span(text)), previous);
}

TEST(Hash, MatchesPublishedVectors) {
    EXPECT_EQ(crc("123456789"), 0xE3069283U);  // RFC 3720, B.4 gives the same for other texts
    EXPECT_EQ(crc(std::string(32, '\0')), 0x8A9136AAU);
    EXPECT_EQ(sha256_hex("abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Hash, ChecksumsContinue) {
    EXPECT_EQ(crc("456789", crc("123")), crc("123456789"));
}

}  // namespace
}  // namespace popalign
