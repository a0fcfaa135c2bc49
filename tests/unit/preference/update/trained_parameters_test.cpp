#include "preference/update/trained_parameters.hpp"

#include "support/world.hpp"
#include "unit/preference/tiny_pairs.hpp"

#include <popalign/lm/transformer/architecture.hpp>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace popalign::preference {
namespace {

using test::world;

TEST(ParameterBuckets, CoverAllParametersOnceInTheirOrder) {
    const lm::TrainableLm model = test::make_tiny_model("qwen2", 7, at::kFloat);
    const auto& parameters = model.parameters();
    for (const std::int64_t elements : {1, 700, 1 << 20})
        for (const int parts : {1, 3, 7}) {
            std::size_t next = 0;
            std::int64_t begin = 0;
            for (const ParameterBucket& bucket : make_buckets(parameters, elements, parts)) {
                EXPECT_EQ(bucket.first, next);
                EXPECT_EQ(bucket.begin, begin);
                EXPECT_GE(bucket.part * parts, bucket.elements);
                EXPECT_LT((bucket.part - 1) * parts, bucket.elements);
                EXPECT_TRUE(bucket.last == bucket.first + 1 || bucket.elements <= elements);
                next = bucket.last;
                begin += bucket.elements;
            }
            EXPECT_EQ(next, parameters.size());
            EXPECT_EQ(begin, lm::parameter_count(model.config()));
        }
}

TEST(ParameterBuckets, AreCompleteWithTheirLowestLayer) {
    const lm::TrainableLm model = test::make_tiny_model("qwen2", 7, at::kFloat);
    const auto buckets = make_buckets(model.parameters(), 1, 1);
    EXPECT_FALSE(buckets.front().layer) << "the embedding's gradient comes last";
    for (const ParameterBucket& bucket : buckets)
        if (const auto layer = model.parameters()[bucket.first].layer) {
            EXPECT_EQ(bucket.layer, layer);
        }
    EXPECT_GT(buckets.back().layer.value_or(0), 1) << "the head's comes before any layer's";
    EXPECT_FALSE(make_buckets(model.parameters(), 1 << 20, 1).front().layer);
}

TEST(TrainedParameters, EveryElementIsWrittenByOneRankAndHeldByItsOptimizer) {
    for (const Sharding sharding : {Sharding::none, Sharding::optimizer, Sharding::gradients}) {
        lm::TrainableLm model = test::make_tiny_model("llama", 7, at::kFloat);
        std::vector<at::Tensor> before;
        for (const lm::NamedParameter& parameter : model.parameters())
            before.push_back(parameter.tensor.clone());
        TrainedParameters trained(world(), model.parameters(), {sharding, 300});
        for (std::size_t i = 0; i < before.size(); ++i)
            EXPECT_TRUE(at::equal(model.parameters()[i].tensor, before[i])) << "moved unchanged";

        // The gradient of every element, marked by whoever writes it: a sum of 1 is one writer.
        for (const ParameterSlice& slice : trained.written())
            trained.gradients()[slice.bucket].narrow(0, slice.offset, slice.count).fill_(1);
        EXPECT_TRUE(
            at::equal(trained.whole_gradient(), at::ones({trained.elements()}, at::kDouble)));

        // Updates of the parts that ranks hold reach all.
        for (const at::Tensor& values : trained.values())
            values.add_(1);
        trained.publish();
        for (std::size_t i = 0; i < before.size(); ++i)
            EXPECT_TRUE(at::equal(model.parameters()[i].tensor, before[i] + 1));
    }
}

}  // namespace
}  // namespace popalign::preference
