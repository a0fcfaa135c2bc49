#include "preference/update/optimizer.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace popalign::preference {
namespace {

// Expected numbers are what optimizer_reference.py prints.

TEST(AdamWTest, EqualsTorch) {
    at::Tensor parameter = at::tensor({0.5, -1.25, 2.0}, at::kDouble);
    at::Tensor gradient = at::zeros({3}, at::kDouble);
    AdamW optimizer({parameter}, {gradient}, {.weight_decay = 0.01});
    const double gradients[3][3] = {{0.1, -0.2, 0.3}, {1.0, 0.5, -0.25}, {-0.3, 0.0, 0.7}};
    const double rates[] = {0.1, 0.05, 0.02};
    const double expected[3][3] = {{0.399500009999999, -1.1487500049999997, 1.8980000033333333},
                                   {0.3589458729220978, -1.1702863926061162, 1.8951449017188002},
                                   {0.3505744991312233, -1.1768890087193347, 1.8833193398374044}};
    for (int step = 0; step < 3; ++step) {
        for (int i = 0; i < 3; ++i)
            gradient[i] = gradients[step][i];
        optimizer.step(rates[step]);
        for (int i = 0; i < 3; ++i)
            EXPECT_NEAR(parameter[i].item<double>(), expected[step][i], 1e-12) << step;
    }
    EXPECT_EQ(optimizer.steps(), 3);
}

TEST(CosineWithWarmupTest, EqualsTransformers) {
    const double expected[] = {0.0,
                               0.3333333333333333,
                               0.6666666666666666,
                               1.0,
                               0.9944154131125642,
                               0.9777864028930704,
                               0.9504844339512095,
                               0.9131193871579975,
                               0.8665259359149131,
                               0.8117449009293668,
                               0.75,
                               0.6826705121831976,
                               0.6112604669781572,
                               0.5373650467932122,
                               0.4626349532067879,
                               0.38873953302184283,
                               0.3173294878168025,
                               0.2500000000000001,
                               0.18825509907063326,
                               0.13347406408508694,
                               0.08688061284200266,
                               0.04951556604879048,
                               0.022213597106929606,
                               0.0055845868874357385,
                               0.0};
    for (std::int64_t step = 0; step <= 24; ++step)
        EXPECT_NEAR(cosine_with_warmup(step, 3, 24), expected[step], 1e-15) << step;
    EXPECT_EQ(cosine_with_warmup(0, 0, 10), 1);
    EXPECT_EQ(cosine_with_warmup(1, 1, 1), 1);
}

}  // namespace
}  // namespace popalign::preference
