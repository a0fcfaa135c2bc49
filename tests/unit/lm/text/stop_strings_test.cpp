#include "support/tiny_tokenizer.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/text/stop_strings.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace popalign::lm {
namespace {

/// The answer grows token by token; it must end with the token that completes a stop string.
TEST(StopStrings, EndWithTheTokenThatCompletesOne) {
    const auto tokenizer =
        Tokenizer::from_json_text(test::tiny_tokenizer({"a b", "ab c"}).dump(), "tiny");
    for (const std::string text : {"xabcx\n\nUser: more", "\n\nUser:", "é\n\nUser:é", "abc"}) {
        const StopStrings stop(tokenizer, {"\n\nUser:", "zzz"});
        const auto tokens = tokenizer.encode(text);
        for (std::size_t count = 1; count <= tokens.size(); ++count) {
            const std::span part(tokens.data(), count);
            const bool holds = tokenizer.decode(part).find("\n\nUser:") != std::string::npos;
            if (holds) {
                EXPECT_TRUE(stop.ended(part)) << text << ", " << count;
                break;
            }
            EXPECT_FALSE(stop.ended(part)) << text << ", " << count;
        }
        EXPECT_EQ(stop.cut(text), text.substr(0, text.find("\n\nUser:")));
    }
}

TEST(StopStrings, NoneNeverEndAndAnEmptyOneIsRefused) {
    const auto tokenizer = Tokenizer::from_json_text(test::tiny_tokenizer({}).dump(), "tiny");
    const StopStrings none(tokenizer, {});
    EXPECT_FALSE(none.ended(tokenizer.encode("abc")));
    EXPECT_EQ(none.cut("abc"), "abc");
    EXPECT_THROW(StopStrings(tokenizer, {"a", ""}), UsageError);
}

}  // namespace
}  // namespace popalign::lm
