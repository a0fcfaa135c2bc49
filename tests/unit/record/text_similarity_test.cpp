#include <popalign/record/text_similarity.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

namespace popalign {
namespace {

TEST(TextSimilarity, CountsDifferentPieces) {
    EXPECT_EQ(text_similarity("abc", "abc"), 1);
    EXPECT_EQ(text_similarity("abc", "abd"), 0);
    EXPECT_EQ(text_similarity("", ""), 1);
    EXPECT_EQ(text_similarity("", "abcdef"), 0);
    // abcde bcdef, and cdefa defab efabc fabcd of the longer one.
    EXPECT_EQ(text_similarity("abcdef", "abcdefabcdef"), 2.0 / 6) << "pieces are counted once";
}

std::string random_text(std::mt19937& random, std::size_t length) {
    std::string text;
    for (std::size_t i = 0; i < length; ++i)
        text += static_cast<char>('a' + random() % 26);
    return text;
}

TEST(TextSignature, EstimatesTheSimilarity) {
    std::mt19937 random(3);
    double worst = 0;
    for (int i = 0; i < 300; ++i) {
        const std::string common = random_text(random, 50 + random() % 2000);
        const std::string a = common + random_text(random, random() % 500);
        const std::string b = common + random_text(random, random() % 500);
        const double error =
            estimated_similarity(text_signature(a), text_signature(b)) - text_similarity(a, b);
        worst = std::max(worst, std::abs(error));
    }
    EXPECT_LT(worst, 5 * 0.5 / std::sqrt(128.0)) << "five standard deviations of 128 draws";
}

TEST(TextSignature, DependsOnTheTextAlone) {
    EXPECT_EQ(text_signature(""), text_signature(""));
    EXPECT_EQ(text_signature("a text"), text_signature("a text"));
    EXPECT_LT(estimated_similarity(text_signature("a"), text_signature("b")), 0.1);
    EXPECT_LT(estimated_similarity(text_signature(""), text_signature("something else")), 0.1);
}

}  // namespace
}  // namespace popalign
