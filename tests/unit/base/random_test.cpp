#include <popalign/base/random.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

namespace popalign {
namespace {

TEST(Philox, MatchesTheAuthorsVectors) {
    // Random123's kat_vectors, philox 4x32 with 10 rounds.
    using Words = std::array<std::uint32_t, 4>;
    EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
              (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    EXPECT_EQ(
        philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
        (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(
        philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
        (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, DependsOnSeedItemPurposeAndPositionAlone) {
    const RandomStream stream(1, "item", "purpose");
    EXPECT_EQ(stream.bits(5), RandomStream(1, "item", "purpose").bits(5));
    std::set<std::uint64_t> different{
        stream.bits(5), stream.bits(6), RandomStream(2, "item", "purpose").bits(5),
        RandomStream(1, "item2", "purpose").bits(5), RandomStream(1, "item", "purpose2").bits(5)};
    EXPECT_EQ(different.size(), 5U);
}

TEST(RandomStream, IsUniform) {
    constexpr int bins = 100, draws = 100000;
    std::array<int, bins> counts{};
    const RandomStream stream(7, "uniform", "test");
    for (int i = 0; i < draws; ++i)
        ++counts[static_cast<std::size_t>(stream.uniform(static_cast<std::uint64_t>(i)) * bins)];
    double chi_squared = 0;
    for (int count : counts)
        chi_squared += std::pow(count - draws / bins, 2) / (draws / bins);
    EXPECT_LT(chi_squared, 148.2);  // 99.9 % quantile with 99 degrees of freedom
    EXPECT_GT(chi_squared, 60.0);
}

}  // namespace
}  // namespace popalign
