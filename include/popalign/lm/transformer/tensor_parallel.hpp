#pragma once

#include <popalign/base/range.hpp>
#include <popalign/comm/communicator.hpp>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace popalign::lm {

struct ModelConfig;
struct WeightSpec;
class TensorReducer;

/// Part of a weight that a rank holds: a range of rows (dimension 0) or columns (1).
struct WeightSlice {
    std::int64_t dimension = 0, begin = 0, end = 0;

    std::vector<std::int64_t> shape(const WeightSpec& whole) const;
};

/// The ranks that hold one model together, each a slice of every matrix (Shoeybi et al. 2019, sec.
/// 3): whole heads and a part of the feed-forward's width, added up behind attention and behind the
/// feed-forward; a part of the vocabulary. By default one rank holds all.
class TensorParallel {
  public:
    TensorParallel() = default;
    /// Collective over `group`.
    TensorParallel(const comm::Communicator& group, at::Device device);

    const comm::Communicator& group() const noexcept { return group_; }
    int rank() const noexcept { return group_.rank(); }
    int size() const noexcept { return group_.size(); }
    /// Returns the shape of this rank's slice of the model: its share of heads and width. Throws
    /// UsageError if they cannot be divided.
    ModelConfig slice(const ModelConfig& whole) const;
    /// Returns this rank's part of a weight.
    WeightSlice slice(const WeightSpec& whole) const;
    /// Returns this rank's part of the vocabulary.
    Range vocabulary(const ModelConfig& whole) const;

    /// Returns the sum over the ranks, in float32. Collective.
    at::Tensor sum(const at::Tensor& mine) const;
    /// Returns the concatenated columns of all ranks, `columns` in all; `mine` begins at column
    /// `first`. Collective.
    at::Tensor join_columns(const at::Tensor& mine, std::int64_t first, std::int64_t columns) const;

  private:
    comm::Communicator group_;
    std::shared_ptr<TensorReducer> reducer_;
};

}  // namespace popalign::lm
