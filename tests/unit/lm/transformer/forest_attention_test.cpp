#include "lm/transformer/device_attention.hpp"
#include "support/tiny_model.hpp"

#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/lm/transformer/attention.hpp>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace popalign::lm {
namespace {

using test::make_tiny_model;
using test::random_tokens;

at::Tensor run(const CausalLm& model, const SegmentForest& forest) {
    ForestAttention attention(forest);
    return model.logits(
        model.hidden_states(at::tensor(at::ArrayRef<std::int64_t>(forest.tokens)), attention));
}

TEST(ForestAttention, PackedEqualsOneSequenceAtATime) {
    for (const char* architecture : test::architectures) {
        const TrainableLm model = make_tiny_model(architecture, 1, at::kDouble);
        const auto prompt = random_tokens(7, 1), chosen = random_tokens(5, 2),
                   rejected = random_tokens(3, 3), other = random_tokens(4, 4);
        SegmentForest packed;
        const std::size_t root = packed.add(prompt);
        packed.add(chosen, root);
        packed.add(other);
        packed.add(rejected, root);
        const at::Tensor together = run(model, packed);
        const auto alone = [&](std::vector<TokenId> tokens, const std::vector<TokenId>& more) {
            tokens.insert(tokens.end(), more.begin(), more.end());
            SegmentForest single;
            single.add(tokens);
            return run(model, single);
        };
        const auto same = [&](std::size_t segment, const at::Tensor& expected) {
            const auto& rows = packed.segments[segment];
            return at::allclose(together.slice(0, rows.begin, rows.end), expected, 1e-10, 1e-10);
        };
        EXPECT_TRUE(same(0, alone(prompt, {})));
        EXPECT_TRUE(same(1, alone(prompt, chosen).slice(0, 7)));
        EXPECT_TRUE(same(2, alone(other, {})));
        EXPECT_TRUE(same(3, alone(prompt, rejected).slice(0, 7)));
    }
}

TEST(ForestAttention, TheFutureIsHidden) {
    const TrainableLm model = make_tiny_model("llama", 2, at::kDouble);
    auto tokens = random_tokens(9, 5);
    SegmentForest before;
    before.add(tokens);
    const at::Tensor first = run(model, before);
    tokens.back() = (tokens.back() + 1) % 97;
    SegmentForest after;
    after.add(tokens);
    const at::Tensor second = run(model, after);
    EXPECT_TRUE(at::equal(first.slice(0, 0, 8), second.slice(0, 0, 8)));
    EXPECT_FALSE(at::allclose(first[8], second[8]));
}

/// Attention of one sequence by its definition.
at::Tensor attend_by_definition(const at::Tensor& query, const at::Tensor& key,
                                const at::Tensor& value, std::int64_t window) {
    const std::int64_t queries = query.size(0), keys = key.size(0);
    at::Tensor hidden = at::ones({queries, keys}, at::kBool).triu(keys - queries + 1);
    if (window > 0)
        hidden =
            hidden.logical_or(at::ones({queries, keys}, at::kBool).tril(keys - queries - window));
    const at::Tensor scores =
        at::einsum("qhd,khd->hqk", {query, key}) / std::sqrt(static_cast<double>(query.size(2)));
    return at::einsum("hqk,khd->qhd", {scores.masked_fill(hidden, -1e30).softmax(-1), value});
}

TEST(ForestLayout, SequencesHaveTheKeysThatTheirSegmentsSee) {
    SegmentForest forest;
    const std::size_t root = forest.add(random_tokens(7, 1));
    const std::size_t child = forest.add(random_tokens(5, 2), root);
    forest.add(random_tokens(4, 3));
    forest.add(random_tokens(3, 4), root);
    forest.add(random_tokens(6, 5), child);
    const ForestLayout layout = lay_out(forest);
    ASSERT_EQ(layout.query_starts, (std::vector<std::int32_t>{0, 7, 12, 16, 19, 25}));
    ASSERT_EQ(layout.key_starts, (std::vector<std::int32_t>{0, 7, 19, 23, 33, 51}));
    EXPECT_EQ(layout.most_queries, 7);
    EXPECT_EQ(layout.most_keys, 18);
    at::manual_seed(3);
    const auto random = [] { return at::randn({25, 2, 8}, at::kDouble); };
    const at::Tensor query = random(), key = random(), value = random();
    const at::Tensor visible = at::tensor(layout.visible);
    for (const std::int64_t window : {0, 4}) {
        ForestAttention attention(forest);
        const at::Tensor whole = attention.attend({0, window}, query, key, value);
        for (std::size_t i = 0; i + 1 < layout.query_starts.size(); ++i) {
            const auto rows = visible.slice(0, layout.key_starts[i], layout.key_starts[i + 1]);
            const auto own = [&](const at::Tensor& x) {
                return x.slice(0, layout.query_starts[i], layout.query_starts[i + 1]);
            };
            const at::Tensor expected = attend_by_definition(own(query), key.index_select(0, rows),
                                                             value.index_select(0, rows), window);
            EXPECT_TRUE(at::allclose(own(whole), expected.flatten(1), 1e-10, 1e-10))
                << "segment " << i << ", window " << window;
        }
    }
}

TEST(CausalLm, CountsItsParameters) {
    for (const char* architecture : test::architectures) {
        const TrainableLm model = make_tiny_model(architecture, 3);
        std::int64_t count = 0;
        for (const auto& [name, tensor, layer] : model.parameters())
            count += tensor.numel();
        EXPECT_EQ(count, parameter_count(model.config()));
    }
}

}  // namespace
}  // namespace popalign::lm
