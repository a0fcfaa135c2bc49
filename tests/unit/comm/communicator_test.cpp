#include "support/world.hpp"

#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/communicator.hpp>

#include <gtest/gtest.h>

namespace popalign::comm {
namespace {

using test::world;

TEST(Communicator, TheDefaultOneIsSerial) {
    const Communicator alone;
    EXPECT_EQ(alone.rank(), 0);
    EXPECT_EQ(alone.size(), 1);
    EXPECT_EQ(all_reduce<std::int64_t>(alone, 7, Reduction::sum), 7);
    EXPECT_EQ(alone.split(3).size(), 1);
}

TEST(Communicator, SplitsByColour) {
    const Communicator part = world().split(world().rank() % 2);
    EXPECT_EQ(part.rank(), world().rank() / 2);
    const auto sum = all_reduce<std::int64_t>(part, world().rank() % 2, Reduction::sum);
    EXPECT_EQ(sum, part.size() * (world().rank() % 2));
    EXPECT_EQ(world().split_node().size(), world().size());
}

TEST(Partition, CoversEverythingOnceAndEvenly) {
    for (std::size_t count : {0U, 1U, 5U, 64U, 101U})
        for (int parts : {1, 2, 3, 7, 128}) {
            std::size_t next = 0;
            for (int part = 0; part < parts; ++part) {
                const Range range = partition(count, part, parts);
                EXPECT_EQ(range.begin, next);
                EXPECT_LE(range.size(), count / static_cast<std::size_t>(parts) + 1);
                for (std::size_t item = range.begin; item < range.end; ++item)
                    EXPECT_EQ(owner(count, item, parts), part);
                next = range.end;
            }
            EXPECT_EQ(next, count);
        }
}

}  // namespace
}  // namespace popalign::comm
