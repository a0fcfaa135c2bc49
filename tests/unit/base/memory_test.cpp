#include <popalign/base/memory.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

namespace popalign {
namespace {

TEST(AvailableMemory, IsSomethingAndNoMoreThanTheMachineHas) {
    const auto machine = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    EXPECT_GT(available_memory(), machine / 1000);
    EXPECT_LE(available_memory(), machine);
}

}  // namespace
}  // namespace popalign
