#include "support/tiny_model.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/transformer/architecture.hpp>

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace popalign::lm {
namespace {

class ArchitectureTest : public testing::TestWithParam<const char*> {
  protected:
    const TrainableLm model_ = test::make_tiny_model(GetParam(), 1);
    const std::vector<WeightSpec> specs_ = weight_specs(model_.config());
};

TEST_P(ArchitectureTest, TheTableIsTheModelsParameters) {
    ASSERT_EQ(specs_.size(), model_.parameters().size());
    std::int64_t count = 0;
    for (std::size_t i = 0; i < specs_.size(); ++i) {
        const NamedParameter& parameter = model_.parameters()[i];
        EXPECT_EQ(specs_[i].hf_name, parameter.name);
        EXPECT_EQ(specs_[i].shape, parameter.tensor.sizes().vec()) << parameter.name;
        EXPECT_EQ(specs_[i].layer, parameter.layer) << parameter.name;
        EXPECT_EQ(specs_[i].elements(), parameter.tensor.numel()) << parameter.name;
        count += specs_[i].elements();
    }
    EXPECT_EQ(count, parameter_count(model_.config()));
}

TEST_P(ArchitectureTest, NamesAreUnique) {
    std::set<std::string> hf_names, gguf_names;
    std::set<std::pair<std::optional<std::int64_t>, std::string>> names;
    for (const WeightSpec& spec : specs_) {
        EXPECT_TRUE(hf_names.insert(spec.hf_name).second) << spec.hf_name;
        EXPECT_TRUE(gguf_names.insert(spec.gguf_name).second) << spec.gguf_name;
        EXPECT_TRUE(names.insert({spec.layer, spec.name}).second) << spec.name;
    }
}

TEST_P(ArchitectureTest, EveryOptionalWeightIsInTheTable) {
    const ModelConfig& config = model_.config();
    for (const std::string& name : architecture_of(config).optional_weights)
        EXPECT_EQ(std::ranges::count(specs_, name, &WeightSpec::name), config.num_hidden_layers)
            << name;
}

TEST_P(ArchitectureTest, ProjectionsOfAGroupReadTheSameInput) {
    std::map<std::pair<std::optional<std::int64_t>, std::string>, std::int64_t> columns;
    for (const WeightSpec& spec : specs_) {
        if (!spec.is_matrix() || spec.group.empty())
            continue;
        const auto [first, inserted] =
            columns.emplace(std::pair(spec.layer, spec.group), spec.shape[1]);
        EXPECT_EQ(first->second, spec.shape[1]) << spec.hf_name;
    }
}

INSTANTIATE_TEST_SUITE_P(All, ArchitectureTest, testing::ValuesIn(test::architectures));

TEST(WeightSpecs, RowsOfTheTableAreTestedHere) {
    std::set<std::string_view> tested(std::begin(test::architectures),
                                      std::end(test::architectures));
    for (const Architecture& architecture : architectures())
        EXPECT_TRUE(tested.contains(architecture.model_type)) << architecture.model_type;
}

TEST(WeightSpecs, GgufStoresRotaryRowsAndNormsInItsOwnForm) {
    ModelConfig config = test::make_tiny_model("llama", 1).config();
    std::map<std::string, WeightSpec> specs;
    for (const WeightSpec& spec : weight_specs(config))
        specs[spec.hf_name] = spec;
    const WeightSpec& query = specs.at("model.layers.1.self_attn.q_proj.weight");
    EXPECT_EQ(query.gguf_name, "blk.1.attn_q.weight");
    EXPECT_EQ(query.gguf_form, GgufForm::interleaved);
    EXPECT_EQ(specs.at("model.layers.0.self_attn.v_proj.weight").gguf_form, GgufForm::same);
    EXPECT_EQ(specs.at("model.norm.weight").gguf_form, GgufForm::offset_added);
    EXPECT_FALSE(specs.contains("lm_head.weight")) << "tied to the embedding";
    config.tie_word_embeddings = false;
    EXPECT_EQ(weight_specs(config).back().gguf_name, "output.weight");
}

TEST(WeightSpecs, AnUnknownArchitectureIsAnError) {
    ModelConfig config;
    config.architecture = "abacus";
    EXPECT_THROW(weight_specs(config), Error);
}

}  // namespace
}  // namespace popalign::lm
