#include "gpu/gpu.hpp"
#include "unit/preference/tiny_model.hpp"

#include <popalign/preference/pair_trainer.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace popalign {
namespace {

using test::world;

struct Stepped {
    at::Tensor gradient, parameters;
    double loss;
};

/// One update on the global batch, with a policy away from its reference.
Stepped step_on(at::Device device, const std::string& architecture) {
    CausalLm model = test::tiny_model(architecture, at::kFloat, device);
    const PairData data = test::random_pairs(13);
    const auto reference = test::own_reference(model, data);
    test::perturb(model, 0.02);
    PairTrainer trainer(world(), model,
                        {.objective = Objective({.beta = 0.5}), .max_grad_norm = 1e9}, 2);
    const auto report = trainer.step(test::share_of(world(), data, reference), 1e-3);
    std::vector<at::Tensor> flat;
    for (const NamedParameter& parameter : model.parameters())
        flat.push_back(parameter.tensor.detach().reshape(-1).cpu());
    return {trainer.parameters().whole_gradient(), at::cat(flat), report.statistics.mean_loss()};
}

TEST(CudaTrainingTest, AStepEqualsTheCpus) {
    POPALIGN_REQUIRE_GPUS();
    at::set_num_threads(1);
    for (const std::string architecture : {"llama", "qwen2"}) {
        const Stepped host = step_on(at::kCPU, architecture);
        const Stepped device = step_on(test::gpu(), architecture);
        EXPECT_NEAR(device.loss, host.loss, 1e-4);
        EXPECT_LE(((device.gradient - host.gradient).norm() / host.gradient.norm()).item<double>(),
                  1e-4);
        // Adam's first update is about the sign of the gradient: compare where it is no zero.
        const at::Tensor clear = host.gradient.abs() > 1e-4;
        EXPECT_TRUE(at::allclose(device.parameters.masked_select(clear),
                                 host.parameters.masked_select(clear), 0, 1e-4));
    }
}

}  // namespace
}  // namespace popalign
