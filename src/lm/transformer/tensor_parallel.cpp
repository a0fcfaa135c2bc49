#include "lm/transformer/tensor_reducer.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/lm/transformer/model_config.hpp>
#include <popalign/lm/transformer/tensor_parallel.hpp>

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace popalign::lm {

std::vector<std::int64_t> WeightSlice::shape(const WeightSpec& whole) const {
    std::vector<std::int64_t> shape = whole.shape;
    shape.at(static_cast<std::size_t>(dimension)) = end - begin;
    return shape;
}

TensorParallel::TensorParallel(const comm::Communicator& group, at::Device device) : group_(group) {
    if (group.size() > 1)
        reducer_ = make_tensor_reducer(group, device);
}

ModelConfig TensorParallel::slice(const ModelConfig& whole) const {
    ModelConfig part = whole;
    for (std::int64_t* count :
         {&part.num_attention_heads, &part.num_key_value_heads, &part.intermediate_size}) {
        if (*count % size() != 0)
            throw UsageError(fmt::format(
                "a model of {} heads, {} key-value heads and a feed-forward width of {} cannot be "
                "divided among {} ranks; choose a divisor of all three",
                whole.num_attention_heads, whole.num_key_value_heads, whole.intermediate_size,
                size()));
        *count /= size();
    }
    return part;
}

WeightSlice TensorParallel::slice(const WeightSpec& whole) const {
    const std::int64_t dimension = whole.split == WeightSplit::columns ? 1 : 0;
    const std::int64_t count = whole.shape.at(static_cast<std::size_t>(dimension));
    switch (whole.split) {
        case WeightSplit::none:
            break;
        case WeightSplit::rows:
        case WeightSplit::columns:
            return {dimension, count / size() * rank(), count / size() * (rank() + 1)};
        case WeightSplit::vocabulary: {
            const Range range = partition(static_cast<std::size_t>(count), rank(), size());
            return {dimension, static_cast<std::int64_t>(range.begin),
                    static_cast<std::int64_t>(range.end)};
        }
    }
    return {dimension, 0, count};
}

Range TensorParallel::vocabulary(const ModelConfig& whole) const {
    return partition(static_cast<std::size_t>(whole.vocab_size), rank(), size());
}

at::Tensor TensorParallel::sum(const at::Tensor& mine) const {
    if (size() == 1)
        return mine;
    at::Tensor total = mine.to(at::kFloat).contiguous();
    if (total.is_same(mine))
        total = total.clone();
    reducer_->reduce(total);
    return total.to(mine.scalar_type());
}

at::Tensor TensorParallel::join_columns(const at::Tensor& mine, std::int64_t first,
                                        std::int64_t columns) const {
    if (size() == 1)
        return mine;
    at::Tensor whole = at::zeros({mine.size(0), columns}, mine.options());
    whole.narrow(1, first, mine.size(1)).copy_(mine);
    return sum(whole);
}

}  // namespace popalign::lm
