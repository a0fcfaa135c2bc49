#include "support/test_files.hpp"

#include <popalign/lm/judge/verdict_text.hpp>
#include <popalign/store/rows/jsonl.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace popalign::lm {
namespace {

std::string said(const std::string& text, const std::vector<std::string>& labels) {
    const ParsedVerdict verdict = parse_verdict(text, labels);
    return verdict.kind == TextVerdict::label       ? labels[verdict.label]
           : verdict.kind == TextVerdict::abstained ? "abstained"
                                                    : "unparsed";
}

TEST(VerdictText, EveryFormIsReadOrLeftUnparsedAndNoneIsGuessed) {
    std::size_t verdicts = 0, ratings = 0;
    store::read_jsonl(
        test::source_file("tests/data/verdicts.jsonl"),
        [&](std::size_t line, const nlohmann::json& row) {
            const auto text = row.at("text").get<std::string>();
            if (row.contains("rating")) {
                ++ratings;
                const auto rating = parse_rating(text);
                EXPECT_EQ(rating.has_value(), row["rating"].is_number()) << line << ": " << text;
                if (rating && row["rating"].is_number()) {
                    EXPECT_EQ(*rating, row["rating"].get<double>()) << line << ": " << text;
                }
                return;
            }
            ++verdicts;
            EXPECT_EQ(said(text, row.at("labels").get<std::vector<std::string>>()),
                      row.at("verdict").get<std::string>())
                << line << ": " << text;
        });
    EXPECT_GE(verdicts, 200U);
    EXPECT_GE(ratings, 30U);
}

TEST(VerdictText, BytesOfAnyKindDoNoHarm) {
    const std::vector<std::string> labels{"A>B", "B>A"};
    for (int byte = 0; byte < 256; ++byte)
        for (const char* frame : {"[[", "[[A>", "Verdict: ", "\xE3\x80"}) {
            const std::string text =
                std::string(frame) + std::string(3, static_cast<char>(byte)) + "]]";
            parse_verdict(text, labels);
            parse_rating(text);
        }
    EXPECT_EQ(said(std::string(1 << 16, '['), labels), "unparsed");
}

}  // namespace
}  // namespace popalign::lm
