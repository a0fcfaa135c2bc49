#include "support/world.hpp"

#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/comm/shared_memory.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

namespace popalign::comm {
namespace {

TEST(SharedMemory, WhatOneRankWritesAllRanksOfTheNodeRead) {
    const Communicator node = test::world().split_node();
    std::optional<SharedMemory> memory(std::in_place, node, 4096 * 8);
    auto* const words = reinterpret_cast<std::uint64_t*>(memory->bytes().data());
    for (std::size_t i = 0; i < 4096; ++i)
        if (words[i] != 0)
            ADD_FAILURE() << "word " << i << " is not zero at first";
    all_reduce<std::int32_t>(node, 0, Reduction::sum);  // nobody writes before all have looked
    for (std::size_t i = 0; i < 4096; ++i)
        if (owner(4096, i, node.size()) == node.rank())
            words[i] = i * i + 1;
    all_reduce<std::int32_t>(node, 0, Reduction::sum);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < 4096; ++i)
        wrong += words[i] == i * i + 1 ? 0 : 1;
    EXPECT_EQ(wrong, 0U);
}

TEST(SharedMemory, LivesAsLongAsSomebodyHoldsIt) {
    const Communicator node = test::world().split_node();
    std::shared_ptr<std::byte> held;
    {
        const SharedMemory memory(node, 100);
        held = memory.owner();
    }
    held.get()[node.rank()] = std::byte{7};
    EXPECT_EQ(held.get()[node.rank()], std::byte{7});
}

TEST(SharedMemory, MoreThanThereIsIsAnErrorOnAllRanks) {
    const Communicator node = test::world().split_node();
    EXPECT_THROW(SharedMemory(node, std::size_t{1} << 60), AgreedError);
}

}  // namespace
}  // namespace popalign::comm
