#include "support/temporary_directory.hpp"

#include <popalign/base/file.hpp>
#include <popalign/campaign/sweep_results.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace popalign::campaign {
namespace {

class SweepResultsTest : public ::testing::Test {
  protected:
    SweepResultsTest() {
        SweepUnit run;
        run.part = SweepPart::run;
        run.name = "run/one";
        run.base = "base/b";
        run.mix = {"prefix, \"quoted\"", {"single"}, {"prefix"}, {}};
        run.seed = 7;
        plan_.runs = {run, run};
        plan_.runs[1].name = "run/two";
    }
    void write(const std::string& file, std::string_view text) const {
        const auto path = directory_ / file;
        std::filesystem::create_directories(path.parent_path());
        write_text_file(path, text);
    }

    test::TemporaryDirectory directory_;
    SweepPlan plan_;
};

TEST_F(SweepResultsTest, AFailedRunMarksOnlyItsOwnRow) {
    write_status(directory_ / "run/one", {UnitState::done, "", 12.5, 2});
    write_status(directory_ / "run/two", {UnitState::failed, "no room", 1, 2});
    write("run/one/evaluate/preference.json",
          R"({"overall": {"n": 4, "loss": 0.5, "reward_margin": 0.25,
             "reward_accuracy": {"value": 0.75, "lower": 0.3, "upper": 0.95}}})");
    write("run/one/train/metrics.jsonl",
          "{\"step\": 1, \"num_tokens\": 10}\n{\"step\": 2, \"num_tokens\": 20}\n{\"ste");
    const std::string csv = collect_csv(plan_, directory_.path());
    EXPECT_NE(csv.find("run/one,\"prefix, \"\"quoted\"\"\",single,prefix,"), std::string::npos)
        << csv;
    EXPECT_NE(csv.find("done,,2,20,"), std::string::npos) << csv;
    EXPECT_NE(csv.find("0.75,0.3,0.95"), std::string::npos) << csv;
    EXPECT_NE(csv.find("failed,no room,"), std::string::npos) << csv;
    EXPECT_EQ(std::ranges::count(csv, '\n'), 3);
    const std::string status = describe_status(plan_, directory_.path());
    EXPECT_NE(status.find("run/two prefix, \"quoted\": no room"), std::string::npos) << status;
}

TEST_F(SweepResultsTest, WhatIsNotThereOrBrokenIsMissing) {
    EXPECT_EQ(read_status(directory_ / "none").state, UnitState::missing);
    write("run/one/status.json", "{\"state\": \"do");
    EXPECT_EQ(read_status(directory_ / "run/one").state, UnitState::missing);
    write("run/one/status.json", "{\"state\": 3}");
    EXPECT_EQ(read_status(directory_ / "run/one").state, UnitState::missing);
    write_status(directory_ / "run/one", {UnitState::started, "", 0, 4});
    EXPECT_EQ(read_status(directory_ / "run/one").state, UnitState::started);
    EXPECT_EQ(std::ranges::count(collect_csv(plan_, directory_.path()), '\n'), 3);
}

}  // namespace
}  // namespace popalign::campaign
