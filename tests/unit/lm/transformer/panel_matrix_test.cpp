#include "lm/transformer/panel_matrix.hpp"

#include "lm/kernels/panel_kernel.hpp"

#include <popalign/base/error.hpp>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

namespace popalign::lm {
namespace {

PanelMatrix packed(const at::Tensor& weight) {
    WeightMemory memory;
    PanelMatrix result(memory, weight.size(0), weight.size(1), weight.options());
    // In uneven parts, as joined projections are filled in.
    const std::int64_t first = weight.size(0) / 3;
    result.fill(weight.narrow(0, 0, first), 0);
    result.fill(weight.narrow(0, first, weight.size(0) - first), first);
    return result;
}

TEST(PanelMatrix, MultipliesLikeLinearInEveryShape) {
    at::manual_seed(1);
    for (std::int64_t rows : {1, 31, 32, 33, 97, 200})
        for (std::int64_t columns : {1, 7, 64, 577, 1300})
            for (std::int64_t count : {0, 1, 5, 12, 13, 193, 400}) {
                const at::Tensor weight = at::randn({rows, columns}), bias = at::randn({rows});
                const at::Tensor x = at::randn({count, columns});
                const at::Tensor result = packed(weight).apply(x, bias);
                ASSERT_EQ(result.sizes(), (std::vector<std::int64_t>{count, rows}));
                EXPECT_TRUE(at::allclose(result, at::linear(x, weight, bias), 1e-4, 1e-3))
                    << rows << " x " << columns << ", " << count;
            }
}

TEST(PanelMatrix, ARowDependsOnItselfAloneToTheLastBit) {
    at::manual_seed(2);
    const PanelMatrix weight = packed(at::randn({97, 1300}));
    const at::Tensor x = at::randn({300, 1300}), whole = weight.apply(x);
    for (std::int64_t count : {1, 2, 11, 12, 13, 64, 191})
        for (std::int64_t first : {0, 5, 100})
            EXPECT_TRUE(
                at::equal(weight.apply(x.narrow(0, first, count)), whole.narrow(0, first, count)))
                << count << " rows from " << first;
}

TEST(PanelMatrix, GathersWhatWasFilledIn) {
    const at::Tensor weight = at::randn({70, 33});
    const at::Tensor indices = at::tensor({69L, 0L, 31L, 32L, 0L}, at::kLong);
    for (at::ScalarType dtype : {at::kFloat, at::kBFloat16})
        EXPECT_TRUE(at::equal(packed(weight.to(dtype)).gather(indices),
                              weight.to(dtype).index_select(0, indices)));
    EXPECT_ANY_THROW(packed(weight).gather(at::tensor({70L}, at::kLong)));
}

TEST(PanelKernels, AllGiveTheSame) {
    const at::Tensor panel = at::randn({50, kernel::panel_width}), x = at::randn({29, 60});
    const at::Tensor expected =
        1 + at::mm(x.narrow(1, 0, 50).to(at::kDouble), panel.to(at::kDouble));
    for (const kernel::MultiplyPanel multiply : kernel::multiply_panels()) {
        const at::Tensor output = at::ones({29, 40});
        multiply({x.data_ptr<float>(), 60, 29, 50, panel.data_ptr<float>(),
                  output.data_ptr<float>(), 40, kernel::PanelOutput::add});
        EXPECT_TRUE(at::allclose(output.narrow(1, 0, 32).to(at::kDouble), expected, 1e-4, 1e-4));
        EXPECT_TRUE(at::equal(output.narrow(1, 32, 8), at::ones({29, 8}))) << "beyond the panel";
    }
}

TEST(WeightMemory, HandsOutAlignedPartsAndNoMore) {
    WeightMemory memory(comm::Communicator(), 192);
    const auto options = at::TensorOptions().dtype(at::kFloat);
    const at::Tensor first = memory.allocate({3}, options), second = memory.allocate({16}, options);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second.data_ptr()) % 64, 0U);
    first.fill_(1);
    EXPECT_EQ(second.sum().item<float>(), 0);
    EXPECT_THROW(memory.allocate({17}, options), Error);
    EXPECT_NO_THROW(memory.allocate({16}, options));
}

}  // namespace
}  // namespace popalign::lm
