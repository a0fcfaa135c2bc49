#include "lm/judge/endpoint_judge.hpp"

#include <popalign/lm/judge/judge_template.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace popalign::lm {
namespace {

TEST(EndpointJudge, ReadsProbabilitiesThenWordsThenGivesUp) {
    const JudgeTemplate letters = load_judge_template("contrast");
    ChatAnswer answer;
    answer.text = "B is better";
    answer.tokens = {{"The", {{"The", -0.1}}}, {" A", {{" A", -1}, {"B", -2}, {" B", -1.5}}}};
    Judgement judgement = read_judgement(answer, letters);
    EXPECT_EQ(judgement.outcome, Outcome::first);
    EXPECT_NEAR(judgement.probability, 1 / (1 + std::exp(-0.5)), 1e-12);
    answer.tokens = {{"A", {{"A", -0.01}, {"x", -6}}}};  // the other label is not listed
    EXPECT_NEAR(read_judgement(answer, letters).probability, 1 / (1 + std::exp(-5.99)), 1e-12);
    answer.tokens.clear();
    EXPECT_EQ(read_judgement(answer, letters).outcome, Outcome::second);
    answer.text = "neither";
    EXPECT_EQ(read_judgement(answer, letters).outcome, Outcome::abstained);
    for (const char* text : {"", "A or B", "Apples"}) {
        answer.text = text;
        EXPECT_EQ(read_judgement(answer, letters).outcome, Outcome::unparsed) << text;
    }
}

}  // namespace
}  // namespace popalign::lm
