#include "support/world.hpp"

#include <popalign/comm/run.hpp>

#include <gtest/gtest.h>

namespace popalign::comm {
namespace {

using test::world;

TEST(RunOnAll, GivesEachRankItsOwnResult) {
    EXPECT_EQ(run_on_all(world(), [] { return world().rank() + 1; }), world().rank() + 1);
}

TEST(RunOnAll, AFailureOnOneRankIsEverybodysWithItsMessageAndStatus) {
    const int last = world().size() - 1;
    try {
        run_on_all(world(), [&] {
            if (world().rank() == last)
                throw UsageError("shard is missing");
        });
        FAIL() << "nothing was thrown";
    } catch (const AgreedError& error) {
        EXPECT_EQ(error.rank(), last);
        EXPECT_EQ(error.status(), ExitStatus::wrong_use);
        EXPECT_NE(std::string(error.what()).find("shard is missing"), std::string::npos);
    }
}

TEST(RunOnAll, TheLowestFailingRankSpeaks) {
    try {
        run_on_all(world(), [] { throw Error(std::to_string(world().rank())); });
        FAIL() << "nothing was thrown";
    } catch (const AgreedError& error) {
        EXPECT_EQ(error.rank(), 0);
    }
}

TEST(AgreeToStop, OneRanksDeadlineIsEverybodys) {
    Deadline::Options options;
    if (world().rank() == world().size() - 1)
        options.limit = std::chrono::seconds(0);
    EXPECT_TRUE(agree_to_stop(world(), Deadline(options)));
    EXPECT_FALSE(agree_to_stop(world(), Deadline({})));
}

}  // namespace
}  // namespace popalign::comm
