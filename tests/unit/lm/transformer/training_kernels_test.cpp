#include "lm/transformer/training_kernels.hpp"

#include "lm/kernels/matrix_product.hpp"
#include "lm/kernels/tile_product.hpp"
#include "support/tiny_model.hpp"

#include <popalign/lm/transformer/attention.hpp>
#include <popalign/lm/transformer/segment_forest.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

namespace popalign::lm {
namespace {

using kernel::MatrixView;
using kernel::PanelOutput;

double difference(const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor expected = b.to(at::kDouble);
    return ((a.to(at::kDouble) - expected).norm() / expected.norm().clamp_min(1e-30))
        .item<double>();
}

TEST(MatrixProduct, MultipliesEitherSideTransposedInEveryShape) {
    at::manual_seed(1);
    for (const std::int64_t rows : {1, 13, 200})
        for (const std::int64_t columns : {1, 31, 64, 97})
            for (const std::int64_t depth : {1, 40, 600}) {
                const at::Tensor left = at::randn({rows, depth}),
                                 right = at::randn({depth, columns});
                const at::Tensor left_t = left.t().contiguous(), right_t = right.t().contiguous();
                const at::Tensor before = at::randn({rows, columns});
                const at::Tensor expected = at::mm(left.to(at::kDouble), right.to(at::kDouble));
                const MatrixView lefts[] = {
                    MatrixView::rows(left.data_ptr<float>(), depth),
                    MatrixView::rows(left_t.data_ptr<float>(), rows).transposed()};
                const MatrixView rights[] = {
                    MatrixView::rows(right.data_ptr<float>(), columns),
                    MatrixView::rows(right_t.data_ptr<float>(), depth).transposed()};
                for (const MatrixView& l : lefts)
                    for (const MatrixView& r : rights) {
                        at::Tensor output = before.clone();
                        kernel::multiply({rows, columns, depth, l, r, output.data_ptr<float>(),
                                          columns, PanelOutput::add});
                        EXPECT_LE(difference(output - before, expected), 1e-5)
                            << rows << " x " << depth << " x " << columns;
                        kernel::multiply({rows, columns, depth, l, r, output.data_ptr<float>(),
                                          columns, PanelOutput::replace});
                        EXPECT_LE(difference(output, expected), 1e-5);
                    }
            }
}

TEST(MatrixProduct, ThreadsDoNotChangeIt) {
    const at::Tensor left = at::randn({300, 700}), right = at::randn({700, 200});
    const auto product = [&](int threads, bool transposed) {
        at::set_num_threads(threads);
        at::Tensor output = at::empty({300, 200});
        const at::Tensor by_columns = left.t().contiguous();
        const MatrixView view =
            transposed ? MatrixView::rows(by_columns.data_ptr<float>(), 300).transposed()
                       : MatrixView::rows(left.data_ptr<float>(), 700);
        kernel::multiply({300, 200, 700, view, MatrixView::rows(right.data_ptr<float>(), 200),
                          output.data_ptr<float>(), 200, PanelOutput::replace});
        return output;
    };
    const at::Tensor alone = product(1, false);
    for (const int threads : {2, 3, 7})
        for (const bool transposed : {false, true})
            EXPECT_TRUE(at::equal(product(threads, transposed), alone));
    at::set_num_threads(1);
}

/// Numbers of very different sizes.
at::Tensor wide(std::int64_t rows, std::int64_t columns) {
    return at::randn({rows, columns}) * at::exp(3 * at::randn({rows, columns}));
}

kernel::MatrixProduct product_of(const at::Tensor& left, const at::Tensor& right,
                                 const at::Tensor& output) {
    return {left.size(0),
            right.size(1),
            left.size(1),
            MatrixView::rows(left.data_ptr<float>(), left.size(1)),
            MatrixView::rows(right.data_ptr<float>(), right.size(1)),
            output.data_ptr<float>(),
            output.stride(0),
            PanelOutput::replace};
}

TEST(MatrixProduct, TilesAreAsExactAsFusedMultiplyAdds) {
    if (!kernel::has_tiles())
        GTEST_SKIP() << "this processor has no matrix units";
    at::manual_seed(2);
    for (const std::int64_t depth : {32, 600, 1300}) {
        const at::Tensor left = wide(70, depth), right = wide(depth, 90);
        const at::Tensor exact = at::mm(left.to(at::kDouble), right.to(at::kDouble));
        const at::Tensor sizes = at::mm(left.abs().to(at::kDouble), right.abs().to(at::kDouble));
        const auto error = [&](void (*multiply)(const kernel::MatrixProduct&)) {
            const at::Tensor output = at::empty({70, 90});
            multiply(product_of(left, right, output));
            return ((output.to(at::kDouble) - exact) / sizes).square().mean().sqrt().item<double>();
        };
        const auto fastest = [](const kernel::MatrixProduct& product) {
            kernel::multiply(product);
        };
        EXPECT_LE(error(fastest), 1.2 * error(kernel::multiply_by_panels));
    }
}

TEST(MatrixProduct, ProductsThatShareASideAreTheSameAsAlone) {
    const std::int64_t depth = 700;
    const at::Tensor shared = wide(300, depth), shared_t = wide(depth, 300);
    for (const int threads : {1, 2, 5}) {
        at::set_num_threads(threads);
        std::vector<at::Tensor> factors, outputs;
        std::vector<kernel::MatrixProduct> side_by_side, one_below_another;
        for (const std::int64_t size : {40, 2100, 33}) {
            factors.push_back(wide(depth, size));
            outputs.push_back(at::empty({300, size}));
            side_by_side.push_back(product_of(shared, factors.back(), outputs.back()));
            factors.push_back(wide(size, depth));
            outputs.push_back(at::empty({size, 300}));
            one_below_another.push_back(product_of(factors.back(), shared_t, outputs.back()));
        }
        kernel::multiply(side_by_side);
        kernel::multiply(one_below_another);
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            const at::Tensor alone = at::empty_like(outputs[i]);
            kernel::multiply(i % 2 == 0 ? product_of(shared, factors[i], alone)
                                        : product_of(factors[i], shared_t, alone));
            EXPECT_TRUE(at::equal(outputs[i], alone)) << i;
        }
    }
    at::set_num_threads(1);
}

TEST(MatrixProduct, AnElementDependsOnItsRowAndColumnAlone) {
    const at::Tensor left = wide(300, 700), right = wide(700, 200);
    const at::Tensor whole = at::empty({300, 200});
    kernel::multiply(product_of(left, right, whole));
    for (const auto& [first, count] : {std::pair{0, 1}, {17, 40}, {250, 50}}) {
        const at::Tensor rows = left.narrow(0, first, count).contiguous();
        const at::Tensor columns = right.narrow(1, first % 100, 33).contiguous();
        at::Tensor output = at::full({count, 40}, 7.0F);
        kernel::multiply(product_of(rows, columns, output));
        EXPECT_TRUE(at::equal(output.narrow(1, 0, 33),
                              whole.narrow(0, first, count).narrow(1, first % 100, 33)));
        EXPECT_TRUE(output.narrow(1, 33, 7).eq(7).all().item<bool>())
            << "and leaves what is beside it";
    }
}

/// A prompt with two answers of which one has a continuation, and a sequence alone.
SegmentForest forest() {
    SegmentForest forest;
    const std::size_t root = forest.add(test::random_tokens(70, 1));
    const std::size_t answer = forest.add(test::random_tokens(5, 2), root);
    forest.add(test::random_tokens(66, 3));
    forest.add(test::random_tokens(9, 4), root);
    forest.add(test::random_tokens(3, 5), answer);
    return forest;
}

struct Pass {
    at::Tensor logps;
    std::map<std::string, at::Tensor> gradients;
};

Pass run(TrainableLm& model, const SegmentForest& segments) {
    for (NamedParameter& parameter : model.parameters())
        parameter.tensor.requires_grad_(true);
    ForestAttention attention(segments);
    const at::Tensor tokens = at::tensor(at::ArrayRef<std::int64_t>(segments.tokens));
    const at::Tensor logps =
        model.target_log_probabilities(model.hidden_states(tokens, attention), tokens.roll(1));
    const at::Tensor factors =
        at::linspace(-1, 1, logps.numel(), at::TensorOptions().dtype(logps.scalar_type()));
    (logps * factors).sum().backward();
    Pass pass{logps.detach(), {}};
    for (NamedParameter& parameter : model.parameters())
        pass.gradients[parameter.name] = parameter.tensor.grad().clone();
    return pass;
}

/// The kernels against libtorch in float64, whose own derivatives other tests check.
TEST(TrainingKernels, GradientsEqualThoseOfFloat64) {
    const SegmentForest segments = forest();
    for (const char* architecture : test::architectures) {
        TrainableLm precise = test::make_tiny_model(architecture, 1, at::kDouble);
        TrainableLm fast = test::make_tiny_model(architecture, 1, at::kFloat);
        const Pass expected = run(precise, segments), found = run(fast, segments);
        EXPECT_LE(difference(found.logps, expected.logps), 1e-5) << architecture;
        for (const auto& [name, gradient] : expected.gradients)
            EXPECT_LE(difference(found.gradients.at(name), gradient), 1e-4)
                << architecture << " " << name;
    }
}

/// More rows than leave room for all columns at once; float64 and float32.
TEST(TrainingKernels, LogProbabilitiesInBlocksOfTheVocabularyEqualThoseOfTheWhole) {
    const std::int64_t rows = 2500, vocabulary = 4500;
    ASSERT_LT(logit_block_columns(rows, vocabulary), vocabulary / 2);
    const auto precise = at::TensorOptions().dtype(at::kDouble);
    const at::Tensor hidden = at::randn({rows, 8}, precise);
    const at::Tensor head = at::randn({vocabulary, 8}, precise);
    const at::Tensor targets = at::arange(rows) % vocabulary, factors = at::randn({rows}, precise);
    const auto run = [&](at::ScalarType type, const auto& logps_of) {
        const at::Tensor x = hidden.to(type, false, true).requires_grad_(true);
        const at::Tensor w = head.to(type, false, true).requires_grad_(true);
        const at::Tensor logps = logps_of(x, w);
        (logps * factors.to(type)).sum().backward();
        return std::vector<at::Tensor>{logps.detach(), x.grad(), w.grad()};
    };
    const auto expected = run(at::kDouble, [&](const at::Tensor& x, const at::Tensor& w) {
        return at::log_softmax(at::mm(x, w.t()), 1).gather(1, targets.unsqueeze(1)).squeeze(1);
    });
    for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
        const auto found = run(type, [&](const at::Tensor& x, const at::Tensor& w) {
            return training::target_log_probabilities(x, w, targets);
        });
        for (std::size_t i = 0; i < expected.size(); ++i)
            EXPECT_LE(difference(found[i], expected[i]), type == at::kDouble ? 1e-12 : 1e-5) << i;
    }
}

TEST(TrainingKernels, GradientsAreAddedToThoseThatAreThere) {
    const SegmentForest segments = forest();
    TrainableLm model = test::make_tiny_model("qwen2", 2, at::kFloat);
    const Pass once = run(model, segments), twice = run(model, segments);
    for (const auto& [name, gradient] : once.gradients)
        EXPECT_LE(difference(twice.gradients.at(name), 2 * gradient), 1e-5) << name;
}

}  // namespace
}  // namespace popalign::lm
