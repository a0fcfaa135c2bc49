#include "lm/transformer/training_kernels.hpp"

#include "lm/kernels/matrix_product.hpp"
#include "lm/kernels/row_kernels.hpp"
#include "lm/kernels/training_row_kernels.hpp"
#include "lm/transformer/differentiable.hpp"
#include "lm/transformer/elementwise.hpp"

#include <popalign/lm/transformer/trainable_lm.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

namespace popalign::lm::training {
namespace {

using kernel::MatrixView;
using kernel::PanelOutput;

MatrixView view(const at::Tensor& matrix) {
    return MatrixView::rows(matrix.data_ptr<float>(), matrix.size(1));
}

/// `output (+)= left * right`, all float32 on the CPU.
kernel::MatrixProduct product(const MatrixView& left, const MatrixView& right, std::int64_t depth,
                              const at::Tensor& output, PanelOutput mode) {
    return {output.size(0), output.size(1),           depth,          left,
            right,          output.data_ptr<float>(), output.size(1), mode};
}

bool all_use_own_kernels(at::TensorList tensors) {
    return std::all_of(tensors.begin(), tensors.end(), uses_own_kernels);
}

/// `x` [rows, in] times the transpose of each weight [out, in].
Tensors times_transposes(const at::Tensor& x, at::TensorList weights) {
    Tensors outputs;
    if (!uses_own_kernels(x) || !all_use_own_kernels(weights)) {
        for (const at::Tensor& weight : weights)
            outputs.push_back(at::linear(x, weight));
        return outputs;
    }
    std::vector<kernel::MatrixProduct> products;
    for (const at::Tensor& weight : weights) {
        outputs.push_back(at::empty({x.size(0), weight.size(0)}, x.options()));
        products.push_back(product(view(x), view(weight).transposed(), x.size(1), outputs.back(),
                                   PanelOutput::replace));
    }
    kernel::multiply(products);
    return outputs;
}

/// `sum += y * weight`; an undefined sum begins with it.
void add_product(at::Tensor& sum, const at::Tensor& y, const at::Tensor& weight) {
    if (!uses_own_kernels(y) || !uses_own_kernels(weight)) {
        sum = sum.defined() ? sum.addmm_(y, weight) : at::mm(y, weight);
        return;
    }
    const PanelOutput mode = sum.defined() ? PanelOutput::add : PanelOutput::replace;
    if (!sum.defined())
        sum = at::empty({y.size(0), weight.size(1)}, y.options());
    multiply(product(view(y), view(weight), y.size(1), sum, mode));
}

/// `sum += y^T x` for each y; an undefined sum begins with it.
void add_transposed_products(Tensors& sums, const Tensors& ys, const at::Tensor& x) {
    std::vector<kernel::MatrixProduct> products;
    for (std::size_t i = 0; i < ys.size(); ++i) {
        at::Tensor& sum = sums[i];
        const at::Tensor& y = ys[i];
        if (uses_own_kernels(y) && uses_own_kernels(x)) {
            const PanelOutput mode = sum.defined() ? PanelOutput::add : PanelOutput::replace;
            if (!sum.defined())
                sum = at::empty({y.size(1), x.size(1)}, y.options());
            products.push_back(product(view(y).transposed(), view(x), x.size(0), sum, mode));
        } else if (!sum.defined()) {
            sum = at::mm(y.t(), x);
        } else if (sum.scalar_type() == y.scalar_type()) {
            sum.addmm_(y.t(), x);
        } else {
            sum.add_(at::mm(y.t(), x));
        }
    }
    if (!products.empty())
        kernel::multiply(products);
}

/// Adds `y^T x` to the gradient of each weight in place, or returns it.
Tensors weight_gradients(const Tensors& weights, const Tensors& ys, const at::Tensor& x) {
    Tensors gradients;
    for (const at::Tensor& weight : weights)
        gradients.push_back(gradient_in_place(weight));
    const Tensors in_place = gradients;
    add_transposed_products(gradients, ys, x);
    for (std::size_t i = 0; i < weights.size(); ++i)
        if (in_place[i].defined())
            gradients[i] = at::Tensor();
    return gradients;
}

at::Tensor bias_gradient(const at::Tensor& bias, const at::Tensor& y) {
    const at::Tensor mine = y.sum(0), gradient = gradient_in_place(bias);
    if (!gradient.defined())
        return mine;
    gradient.add_(mine);
    return {};
}

Tensors project_backward(const at::Tensor& x, const Tensors& weights, const Tensors& biases,
                         const Tensors& gradients) {
    Tensors inputs(1 + 2 * weights.size()), trained, above;
    std::vector<std::size_t> where;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (!gradients[i].defined())
            continue;
        const at::Tensor y = gradients[i].contiguous();
        if (x.requires_grad())
            add_product(inputs[0], y, weights[i]);
        if (weights[i].requires_grad()) {
            trained.push_back(weights[i]);
            above.push_back(y);
            where.push_back(1 + i);
        }
        if (biases[i].defined() && biases[i].requires_grad())
            inputs[1 + weights.size() + i] = bias_gradient(biases[i], y);
    }
    const Tensors of_weights = weight_gradients(trained, above, x);
    for (std::size_t i = 0; i < where.size(); ++i)
        inputs[where[i]] = of_weights[i];
    return inputs;
}

std::size_t as_size(std::int64_t value) {
    return static_cast<std::size_t>(value);
}

/// Calls `run(begin, end)` for parts of the rows on all threads.
template <class Run>
void on_rows(std::int64_t rows, std::int64_t size, const Run& run) {
    constexpr std::int64_t elements = 16384;
    at::parallel_for(0, rows, std::max<std::int64_t>(1, elements / size), run);
}

at::Tensor rms_norm_backward(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                             const at::Tensor& y, at::Tensor& weight_gradient) {
    // Fixed parts, each with a sum of its own: the result does not depend on the threads.
    constexpr std::int64_t part = 256;
    const std::int64_t rows = x.size(0), size = x.size(1), parts = (rows + part - 1) / part;
    const at::Tensor gradient = at::empty(x.sizes(), x.options());
    const at::Tensor sums = at::zeros({parts, size}, x.options());
    const float *const from = x.data_ptr<float>(), *const w = weight.data_ptr<float>();
    const float* const above = y.data_ptr<float>();
    float *const to = gradient.data_ptr<float>(), *const sum = sums.data_ptr<float>();
    at::parallel_for(0, parts, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin * part; row < std::min(end * part, rows); ++row)
            kernel::rms_norm_gradient(from + row * size, w, above + row * size, as_size(size),
                                      static_cast<float>(epsilon), to + row * size,
                                      sum + row / part * size);
    });
    weight_gradient = sums.sum(0);
    return gradient;
}

}  // namespace

bool uses_own_kernels(const at::Tensor& x) {
    return x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous();
}

std::vector<at::Tensor> project(const at::Tensor& x, at::TensorList weights,
                                at::TensorList biases) {
    Tensors outputs;
    {
        const c10::NoGradGuard no_gradients;
        outputs = times_transposes(x, weights);
        for (std::size_t i = 0; i < weights.size(); ++i)
            if (biases[i].defined())
                outputs[i].add_(biases[i]);
    }
    Tensors inputs{x};
    inputs.insert(inputs.end(), weights.begin(), weights.end());
    inputs.insert(inputs.end(), biases.begin(), biases.end());
    set_backward(outputs, inputs, [x, w = weights.vec(), b = biases.vec()](const Tensors& above) {
        return project_backward(x, w, b, above);
    });
    return outputs;
}

at::Tensor embed(const at::Tensor& weight, const at::Tensor& tokens) {
    at::Tensor output;
    {
        const c10::NoGradGuard no_gradients;
        output = weight.index_select(0, tokens);
    }
    set_backward({output}, {weight}, [weight, tokens](const Tensors& above) -> Tensors {
        const at::Tensor gradient = gradient_in_place(weight);
        if (!weight.is_cpu()) {  // adding rows in any order would make the result depend on chance
            const at::Tensor mine =
                at::embedding_dense_backward(above[0], tokens, weight.size(0), -1, false);
            if (!gradient.defined())
                return {mine};
            gradient.add_(mine);
            return {at::Tensor()};
        }
        if (!gradient.defined())
            return {at::zeros_like(weight).index_add_(0, tokens, above[0])};
        gradient.index_add_(0, tokens, above[0].to(gradient.scalar_type()));
        return {at::Tensor()};
    });
    return output;
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
    at::Tensor output;
    {
        const c10::NoGradGuard no_gradients;
        output = popalign::lm::rms_norm(ElementwiseImpl::row_kernels, x, weight, epsilon);
    }
    set_backward({output}, {x, weight}, [x, weight, epsilon](const Tensors& above) -> Tensors {
        at::Tensor of_weight;
        const at::Tensor of_x =
            rms_norm_backward(x, weight, epsilon, above[0].contiguous(), of_weight);
        const at::Tensor in_place = gradient_in_place(weight);
        if (in_place.defined())
            in_place.add_(of_weight);
        return {of_x, in_place.defined() || !weight.requires_grad() ? at::Tensor() : of_weight};
    });
    return output;
}

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
    at::Tensor output;
    {
        const c10::NoGradGuard no_gradients;
        output = popalign::lm::rotate(ElementwiseImpl::row_kernels, x, cosine, sine);
    }
    set_backward({output}, {x}, [cosine, sine](const Tensors& above) -> Tensors {
        return {popalign::lm::rotate(ElementwiseImpl::row_kernels, above[0].contiguous(), cosine,
                                     sine.neg())};
    });
    return output;
}

at::Tensor silu_multiply(const at::Tensor& gate, const at::Tensor& up) {
    at::Tensor output;
    {
        const c10::NoGradGuard no_gradients;
        output = popalign::lm::silu_multiply(ElementwiseImpl::row_kernels, gate, up);
    }
    set_backward({output}, {gate, up}, [gate, up](const Tensors& above) -> Tensors {
        const at::Tensor y = above[0].contiguous();
        const at::Tensor of_gate = at::empty(gate.sizes(), gate.options());
        const at::Tensor of_up = at::empty(up.sizes(), up.options());
        const std::int64_t size = gate.size(1);
        on_rows(gate.size(0), size, [&](std::int64_t begin, std::int64_t end) {
            const std::int64_t at = begin * size;
            kernel::silu_multiply_gradient(gate.data_ptr<float>() + at, up.data_ptr<float>() + at,
                                           y.data_ptr<float>() + at, as_size((end - begin) * size),
                                           of_gate.data_ptr<float>() + at,
                                           of_up.data_ptr<float>() + at);
        });
        return {of_gate, of_up};
    });
    return output;
}

namespace {

at::ScalarType precise(const at::Tensor& x) {
    return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// Logsumexp of each row of `logits`.
at::Tensor row_logsumexp(const at::Tensor& logits) {
    if (!uses_own_kernels(logits))
        return logits.logsumexp(1);
    const std::int64_t rows = logits.size(0), size = logits.size(1);
    const at::Tensor result = at::empty({rows}, logits.options());
    at::parallel_for(0, rows, 1, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> sums(as_size(size) / kernel::block + 1);
        for (std::int64_t row = begin; row < end; ++row) {
            const float* const x = logits.data_ptr<float>() + row * size;
            const float largest = kernel::maximum(x, as_size(size));
            std::fill(sums.begin(), sums.end(), 0.0F);
            kernel::exponential_sums(x, as_size(size), largest, 1.0F, sums.data());
            double sum = 0;
            for (const float part : sums)
                sum += part;
            result.data_ptr<float>()[row] = largest + static_cast<float>(std::log(sum));
        }
    });
    return result;
}

/// Some columns of the logits.
struct HeadBlock {
    std::int64_t first, columns;
    at::Tensor head;     ///< [columns, hidden]
    at::Tensor logits;   ///< [rows, columns]
    at::Tensor targets;  ///< [rows, 1], columns of this block
    at::Tensor inside;   ///< [rows, 1], whether the target is one of them
};

template <class Visit>
void for_each_block(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                    const Visit& visit) {
    const std::int64_t step = logit_block_columns(hidden.size(0), head.size(0));
    for (std::int64_t first = 0; first < head.size(0); first += step) {
        const std::int64_t columns = std::min(step, head.size(0) - first);
        const at::Tensor part = head.narrow(0, first, columns);
        const at::Tensor column = targets.unsqueeze(1) - first;
        visit(HeadBlock{first, columns, part,
                        times_transposes(hidden, part).front().to(precise(hidden)),
                        column.clamp(0, columns - 1), column.ge(0) & column.lt(columns)});
    }
}

/// The logits become the gradient of `sum of factor * log P(target)`.
at::Tensor to_logit_gradient(const HeadBlock& block, const at::Tensor& logsumexp,
                             const at::Tensor& factors) {
    at::Tensor logits = block.logits;
    const at::Tensor scale = factors.unsqueeze(1);
    if (uses_own_kernels(logits)) {
        const std::int64_t size = logits.size(1);
        on_rows(logits.size(0), size, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row)
                kernel::scaled_exponentials(logits.data_ptr<float>() + row * size, as_size(size),
                                            logsumexp.data_ptr<float>()[row],
                                            -factors.data_ptr<float>()[row]);
        });
    } else {
        logits.sub_(logsumexp.unsqueeze(1)).exp_().mul_(-scale);
    }
    return logits.scatter_add_(1, block.targets, scale * block.inside);
}

Tensors target_backward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                        const at::Tensor& logsumexp, const at::Tensor& above) {
    const at::Tensor factors = above.contiguous();
    at::Tensor of_hidden = at::zeros(hidden.sizes(), hidden.options().dtype(precise(hidden)));
    at::Tensor of_head = gradient_in_place(head);
    const bool in_place = of_head.defined();
    if (!in_place && head.requires_grad())
        of_head = at::zeros(head.sizes(), head.options());
    for_each_block(hidden, head, targets, [&](const HeadBlock& block) {
        const at::Tensor gradient =
            to_logit_gradient(block, logsumexp, factors).to(hidden.scalar_type());
        if (of_hidden.scalar_type() == gradient.scalar_type())
            add_product(of_hidden, gradient, block.head);
        else
            of_hidden.add_(at::mm(gradient, block.head));
        if (!head.requires_grad())
            return;
        Tensors of_block{of_head.narrow(0, block.first, block.columns)};
        add_transposed_products(of_block, {gradient}, hidden);
    });
    return {of_hidden.to(hidden.scalar_type()), in_place ? at::Tensor() : of_head};
}

}  // namespace

at::Tensor target_log_probabilities(const at::Tensor& hidden, const at::Tensor& head,
                                    const at::Tensor& targets) {
    const auto options = hidden.options().dtype(precise(hidden)).requires_grad(false);
    const at::Tensor rows = hidden.contiguous();
    at::Tensor logps, logsumexp;
    {
        const c10::NoGradGuard no_gradients;
        // In float64, as the blocks would each round the sum.
        at::Tensor sums = at::full({rows.size(0), 1}, -INFINITY, options.dtype(at::kDouble));
        at::Tensor chosen = at::zeros({rows.size(0), 1}, options);
        for_each_block(rows, head, targets, [&](const HeadBlock& block) {
            sums = at::logaddexp(sums, row_logsumexp(block.logits).to(at::kDouble).unsqueeze(1));
            chosen = at::where(block.inside, block.logits.gather(1, block.targets), chosen);
        });
        logps = (chosen - sums).squeeze(1).to(precise(rows));
        logsumexp = sums.squeeze(1).to(precise(rows));
    }
    set_backward({logps}, {rows, head}, [rows, head, targets, logsumexp](const Tensors& above) {
        return target_backward(rows, head, targets, logsumexp, above[0]);
    });
    return logps;
}

}  // namespace popalign::lm::training
