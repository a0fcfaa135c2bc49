#include <popalign/base/deadline.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace popalign {
namespace {

TEST(Deadline, IsReachedBySignalAndByTime) {
    {
        const Deadline deadline({});
        EXPECT_FALSE(deadline.reached());
        std::raise(SIGUSR1);
        EXPECT_TRUE(deadline.reached());
    }
    EXPECT_FALSE(Deadline({}).reached()) << "a new deadline must forget earlier signals";
    EXPECT_TRUE(Deadline({.limit = std::chrono::seconds(0)}).reached());
}

TEST(Deadline, LeavesTheReserveBeforeTheJobsEnd) {
    const auto in_seconds = [](int seconds) {
        return std::to_string(
            std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()) + seconds);
    };
    ::setenv("SLURM_JOB_END_TIME", in_seconds(30).c_str(), 1);
    EXPECT_TRUE(Deadline({}).reached());
    ::setenv("SLURM_JOB_END_TIME", in_seconds(600).c_str(), 1);
    EXPECT_FALSE(Deadline({}).reached());
    ::unsetenv("SLURM_JOB_END_TIME");
}

}  // namespace
}  // namespace popalign
