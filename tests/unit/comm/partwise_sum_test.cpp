#include "support/world.hpp"

#include <popalign/comm/partwise_sum.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace popalign::comm {
namespace {

using test::world;
using Result = PartwiseSum::Result;

constexpr std::size_t part_size = 1000;

/// Element `i` of rank `rank`'s buffer `index`.
double term(int rank, std::size_t index, std::size_t i) {
    return static_cast<double>(rank + 1) * static_cast<double>(i % 17) + static_cast<double>(index);
}

template <class T>
std::vector<std::vector<T>> make_buffers(std::size_t count, int parts) {
    std::vector<std::vector<T>> buffers(count);
    for (std::size_t b = 0; b < count; ++b)
        for (std::size_t i = 0; i < part_size * static_cast<std::size_t>(parts); ++i)
            buffers[b].push_back(static_cast<T>(term(world().rank(), b, i)));
    return buffers;
}

double expected(std::size_t index, std::size_t i) {
    double sum = 0;
    for (int rank = 0; rank < world().size(); ++rank)
        sum += term(rank, index, i);
    return sum;
}

/// Nodes of `size` ranks each, the last perhaps smaller.
PartwiseSum with_nodes_of(int size) {
    return {world(), world().split(world().rank() / size)};
}

template <class T>
void check(PartwiseSum sums) {
    auto buffers = make_buffers<T>(5, sums.parts());
    for (std::size_t b = 0; b < buffers.size(); ++b)
        sums.add(std::span(buffers[b]), b % 2 == 0 ? Result::on_all : Result::in_parts);
    sums.progress();
    sums.finish();
    const auto own = static_cast<std::size_t>(sums.part()) * part_size;
    for (std::size_t b = 0; b < buffers.size(); ++b)
        for (std::size_t i = 0; i < buffers[b].size(); ++i)
            if (b % 2 == 0 || (i >= own && i < own + part_size)) {
                ASSERT_EQ(buffers[b][i], static_cast<T>(expected(b, i))) << b << " " << i;
            }
    // Sums left in parts are spread.
    sums.spread(std::as_writable_bytes(std::span(buffers[1])));
    sums.spread(std::as_writable_bytes(std::span(buffers[3])));
    sums.finish();
    for (const std::size_t b : {1, 3})
        for (std::size_t i = 0; i < buffers[b].size(); ++i)
            ASSERT_EQ(buffers[b][i], static_cast<T>(expected(b, i))) << b << " " << i;
}

TEST(PartwiseSum, OneNodeAllAloneAndPairsGiveTheSameSums) {
    for (const int size : {world().size(), 1, 2}) {
        check<float>(with_nodes_of(size));
        check<double>(with_nodes_of(size));
    }
}

TEST(PartwiseSum, NodesOfDifferentSizesAreTakenAsOne) {
    check<float>(with_nodes_of(3));
}

TEST(PartwiseSum, EveryPartHasOneOwner) {
    const PartwiseSum sums = with_nodes_of(2);
    std::vector<float> owners(static_cast<std::size_t>(sums.parts()) * 1, 0);
    owners[static_cast<std::size_t>(sums.part())] = 1;
    PartwiseSum counting = with_nodes_of(world().size());
    counting.add(std::span(owners), Result::on_all);
    counting.finish();
    for (const float count : owners)
        EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace popalign::comm
