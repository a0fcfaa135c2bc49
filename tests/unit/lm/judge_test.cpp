#include <popalign/base/error.hpp>
#include <popalign/lm/judge_template.hpp>

#include <gtest/gtest.h>

namespace popalign {
namespace {

TEST(JudgeTemplate, TheBuiltInOneNamesThePapersCriteria) {
    const JudgeTemplate contrast = load_judge_template("contrast");
    for (const char* word : {"elpful", "armless", "onest"})
        EXPECT_NE(contrast.system.find(word), std::string::npos) << word;
    for (const char* mark : {"{instruction}", "{first}", "{second}"})
        EXPECT_NE(contrast.user.find(mark), std::string::npos) << mark;
    EXPECT_EQ(judge_template_sha256(contrast).size(), 64U);
    EXPECT_THROW(load_judge_template("unheard_of"), UsageError);
    EXPECT_THROW(load_judge_template("/nonexistent.yaml"), InputError);
}

}  // namespace
}  // namespace popalign
