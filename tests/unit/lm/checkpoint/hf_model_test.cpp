#include "support/temporary_directory.hpp"
#include "support/tiny_model.hpp"
#include "support/tiny_tokenizer.hpp"

#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/text/tokenizer.hpp>
#include <popalign/lm/transformer/attention.hpp>
#include <popalign/lm/transformer/segment_forest.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace popalign::lm {
namespace {

TEST(HfModel, WhatIsSavedIsWhatIsLoaded) {
    const test::TemporaryDirectory directory;
    const ModelFrontEnd front_end{
        Tokenizer::from_json_text(test::tiny_tokenizer({}).dump(), "test"), std::nullopt, {0}};
    for (const char* architecture : test::architectures) {
        TrainableLm model = test::make_tiny_model(architecture, 4);
        save_hf_model(directory / architecture, model, front_end, "{}");
        const TrainableLm loaded =
            load_causal_lm(directory / architecture, at::kFloat, at::Device(at::kCPU));
        EXPECT_EQ(loaded.config(), model.config()) << architecture;
        ASSERT_EQ(loaded.parameters().size(), model.parameters().size());
        for (std::size_t i = 0; i < model.parameters().size(); ++i)
            EXPECT_TRUE(at::equal(loaded.parameters()[i].tensor, model.parameters()[i].tensor))
                << model.parameters()[i].name;
    }
}

TEST(PackedModel, AnswersAsThePlainOne) {
    const auto tokens = test::random_tokens(40, 9);
    for (const char* architecture : test::architectures) {
        const TrainableLm model = test::make_tiny_model(architecture, 4);
        SegmentForest forest;
        forest.add(tokens);
        const auto logits = [&](const CausalLm& any) {
            ForestAttention attention(forest);
            return any.logits(any.hidden_states(
                at::tensor(at::ArrayRef<std::int64_t>(forest.tokens)), attention));
        };
        EXPECT_TRUE(at::allclose(logits(model.for_inference()), logits(model), 1e-4, 1e-4))
            << architecture;
    }
}

}  // namespace
}  // namespace popalign::lm
