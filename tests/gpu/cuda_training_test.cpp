#include "gpu/gpu.hpp"
#include "preference/pairs/pair_trainer.hpp"
#include "unit/preference/tiny_pairs.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace popalign {
namespace {

using test::distance;
using test::world;

struct Stepped {
    at::Tensor gradient, parameters;
    double loss;
};

/// One update on the global batch, with a policy away from its reference.
Stepped step_on(at::Device device, const std::string& architecture, at::ScalarType dtype,
                preference::PairTrainerOptions options = {}) {
    lm::TrainableLm model = test::make_tiny_model(architecture, 7, dtype, device);
    const preference::PairData data = test::random_pairs(13);
    const auto reference = test::own_reference(model, data);
    test::perturb(model, 0.02);
    options.objective = preference::Objective({.beta = 0.5});
    options.update.max_grad_norm = 1e9;
    preference::PairTrainer trainer(world(), model, options, 2);
    const auto report = trainer.step(test::share_of(world(), data, reference), 1e-3);
    std::vector<at::Tensor> flat;
    for (const lm::NamedParameter& parameter : model.parameters())
        flat.push_back(parameter.tensor.detach().reshape(-1).cpu());
    return {trainer.update().parameters().whole_gradient(), at::cat(flat),
            report.statistics.mean_loss()};
}

TEST(CudaTrainingTest, AStepEqualsTheCpus) {
    POPALIGN_REQUIRE_GPUS();
    at::set_num_threads(1);
    for (const std::string architecture : {"llama", "qwen2"}) {
        const Stepped host = step_on(at::kCPU, architecture, at::kFloat);
        const Stepped device = step_on(test::gpu(), architecture, at::kFloat);
        EXPECT_NEAR(device.loss, host.loss, 1e-4);
        EXPECT_LE(distance(device.gradient, host.gradient), 1e-4);
        // Adam's first update is about the sign of the gradient: compare where it is no zero.
        const at::Tensor clear = host.gradient.abs() > 1e-4;
        EXPECT_TRUE(at::allclose(device.parameters.masked_select(clear),
                                 host.parameters.masked_select(clear), 0, 1e-4));
    }
}

TEST(CudaTrainingTest, PassesPackingAndRecomputationChangeNothing) {
    POPALIGN_REQUIRE_GPUS();
    const Stepped whole = step_on(test::gpu(), "llama", at::kFloat);
    for (const std::int64_t zero_stage : {0, 1, 2}) {
        preference::PairTrainerOptions options{.micro_batch_tokens = 40,
                                               .packing = preference::PackingMode::separate};
        options.update.activations = lm::PassOptions::Activations::recompute;
        options.update.sharding.sharding = preference::parse_zero_stage(zero_stage);
        const Stepped parts = step_on(test::gpu(), "llama", at::kFloat, options);
        EXPECT_NEAR(parts.loss, whole.loss, 1e-5);
        EXPECT_LE(distance(parts.gradient, whole.gradient), 1e-4);
    }
}

TEST(CudaTrainingTest, CoarsePassesHaveTheSameGradientRoughly) {
    POPALIGN_REQUIRE_GPUS();
    for (const std::string architecture : {"llama", "qwen2"}) {
        const Stepped host = step_on(at::kCPU, architecture, at::kFloat);
        const Stepped device = step_on(test::gpu(), architecture, at::kBFloat16);
        EXPECT_NEAR(device.loss, host.loss, 0.02);
        EXPECT_LE(distance(device.gradient, host.gradient), 0.1);
    }
}

}  // namespace
}  // namespace popalign
