#include "support/world.hpp"

#include <popalign/comm/objects.hpp>

#include <gtest/gtest.h>

#include <numeric>

namespace popalign::comm {
namespace {

using test::world;

TEST(Collectives, ReduceSpansInPlace) {
    std::vector<double> values{1.0 * world().rank(), 2.0};
    all_reduce(world(), std::span(values), Reduction::sum);
    EXPECT_EQ(values[0], world().size() * (world().size() - 1) / 2.0);
    EXPECT_EQ(values[1], 2.0 * world().size());
    EXPECT_EQ(all_reduce<std::int32_t>(world(), world().rank(), Reduction::maximum),
              world().size() - 1);
    EXPECT_EQ(all_reduce<std::int32_t>(world(), world().rank(), Reduction::minimum), 0);
}

TEST(Collectives, ScanAndGatherKeepRankOrder) {
    EXPECT_EQ(exclusive_scan(world(), 2), 2U * static_cast<unsigned>(world().rank()));
    const auto ranks = all_gather<std::int32_t>(world(), world().rank());
    for (int rank = 0; rank < world().size(); ++rank)
        EXPECT_EQ(ranks[static_cast<std::size_t>(rank)], rank);
}

TEST(Collectives, BroadcastFromAnyRoot) {
    for (int root = 0; root < world().size(); ++root) {
        std::vector<float> data(3, static_cast<float>(world().rank()));
        broadcast(world(), std::span(data), root);
        EXPECT_EQ(data, std::vector<float>(3, static_cast<float>(root)));
    }
}

TEST(Objects, TravelWhateverTheirSize) {
    // Rank r sends r * 10 + p copies of a text to rank p; one of the lists is empty.
    std::vector<std::vector<std::string>> outgoing;
    for (int peer = 0; peer < world().size(); ++peer)
        outgoing.emplace_back(static_cast<std::size_t>(world().rank() * 10 + peer), "h\xC3\xA9llo");
    const auto incoming = all_to_all_objects(world(), outgoing);
    for (int peer = 0; peer < world().size(); ++peer)
        EXPECT_EQ(incoming[static_cast<std::size_t>(peer)].size(),
                  static_cast<std::size_t>(peer * 10 + world().rank()));
    const std::string long_text(100000, 'x');
    const auto all = all_gather_objects(world(), world().is_root() ? long_text : std::string());
    EXPECT_EQ(all.front(), long_text);
    EXPECT_EQ(broadcast_object(world(), world().is_root() ? long_text : ""), long_text);
}

TEST(Objects, DamagedBytesAreAnErrorNotACrash) {
    const auto bytes = to_bytes(std::vector<std::string>{"one", "two"});
    for (std::size_t cut = 0; cut < bytes.size(); ++cut)
        EXPECT_THROW(from_bytes<std::vector<std::string>>(std::span(bytes).first(cut)), Error);
}

}  // namespace
}  // namespace popalign::comm
