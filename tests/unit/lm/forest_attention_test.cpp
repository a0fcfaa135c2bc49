#include "unit/lm/tiny_model.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace popalign {
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
        const CausalLm model = make_tiny_model(architecture, 1, at::kDouble);
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
    const CausalLm model = make_tiny_model("llama", 2, at::kDouble);
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

TEST(CausalLm, CountsItsParameters) {
    for (const char* architecture : test::architectures) {
        const CausalLm model = make_tiny_model(architecture, 3);
        std::int64_t count = 0;
        for (const auto& [name, tensor] : model.parameters())
            count += tensor.numel();
        EXPECT_EQ(count, model.config().parameter_count());
    }
}

}  // namespace
}  // namespace popalign
