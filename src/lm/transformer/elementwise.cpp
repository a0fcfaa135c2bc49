#include "lm/transformer/elementwise.hpp"

#include "lm/kernels/row_kernels.hpp"
#include "lm/transformer/training_kernels.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace popalign::lm {
namespace {

/// Calls `run(row)` for all rows, with enough work for each thread.
template <class Run>
void for_each_row(std::int64_t rows, std::int64_t size, const Run& run) {
    constexpr std::int64_t elements = 16384;
    at::parallel_for(0, rows, std::max<std::int64_t>(1, elements / size),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t row = begin; row < end; ++row)
                             run(row);
                     });
}

}  // namespace

bool fits_row_kernels(const at::Tensor& x) {
    return x.is_cpu() && x.scalar_type() == at::kFloat && x.stride(-1) == 1;
}

at::Tensor rms_norm(ElementwiseImpl arithmetic, const at::Tensor& x, const at::Tensor& weight,
                    double epsilon) {
    if (arithmetic == ElementwiseImpl::libtorch)
        return training::uses_own_kernels(x) ? training::rms_norm(x, weight, epsilon)
                                             : at::rms_norm(x, weight.sizes(), weight, epsilon);
    const at::Tensor output = at::empty(x.sizes(), x.options());
    const auto size = x.size(1), stride = x.stride(0);
    for_each_row(x.size(0), size,
                 [&, from = x.data_ptr<float>(), to = output.data_ptr<float>(),
                  w = weight.data_ptr<float>()](std::int64_t row) {
                     kernel::rms_norm(from + row * stride, w, static_cast<std::size_t>(size),
                                      static_cast<float>(epsilon), to + row * size);
                 });
    return output;
}

at::Tensor rotate(ElementwiseImpl arithmetic, const at::Tensor& x, const at::Tensor& cosine,
                  const at::Tensor& sine) {
    if (arithmetic == ElementwiseImpl::libtorch) {
        if (training::uses_own_kernels(x))
            return training::rotate(x, cosine, sine);
        const auto halves = x.chunk(2, -1);
        return at::cat(
            {halves[0] * cosine - halves[1] * sine, halves[1] * cosine + halves[0] * sine}, -1);
    }
    const at::Tensor output = at::empty(x.sizes(), x.options());
    const auto heads = x.size(1), dim = x.size(2);
    for_each_row(x.size(0), heads * dim,
                 [&, from = x.data_ptr<float>(), to = output.data_ptr<float>(),
                  c = cosine.data_ptr<float>(), s = sine.data_ptr<float>()](std::int64_t row) {
                     for (std::int64_t head = 0; head < heads; ++head)
                         kernel::rotate(from + row * x.stride(0) + head * x.stride(1),
                                        c + row * dim / 2, s + row * dim / 2,
                                        static_cast<std::size_t>(dim),
                                        to + (row * heads + head) * dim);
                 });
    return output;
}

at::Tensor silu_multiply(ElementwiseImpl arithmetic, const at::Tensor& gate, const at::Tensor& up) {
    if (arithmetic == ElementwiseImpl::libtorch)
        return training::uses_own_kernels(gate) && training::uses_own_kernels(up)
                   ? training::silu_multiply(gate, up)
                   : at::silu(gate) * up;
    const at::Tensor output = at::empty(gate.sizes(), gate.options());
    const auto size = gate.size(1);
    for_each_row(gate.size(0), size,
                 [&, g = gate.data_ptr<float>(), u = up.data_ptr<float>(),
                  to = output.data_ptr<float>()](std::int64_t row) {
                     kernel::silu_multiply(g + row * gate.stride(0), u + row * up.stride(0),
                                           static_cast<std::size_t>(size), to + row * size);
                 });
    return output;
}

}  // namespace popalign::lm
