#pragma once

#include "preference/update/parameter_buckets.hpp"
#include "preference/update/part_reducer.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/transformer/trainable_lm.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace popalign::preference {

/// State divided among the ranks (Rajbhandari et al. 2020, "ZeRO"): none, the optimizer's (stage
/// 1), or also the gradients (stage 2).
enum class Sharding { none, optimizer, gradients };

/// Throws UsageError unless it is 0, 1 or 2.
Sharding parse_zero_stage(std::int64_t stage);

struct ShardingOptions {
    Sharding sharding = Sharding::none;
    std::int64_t bucket_elements = std::int64_t{1} << 23;  ///< 32 MiB of float32
};

/// Elements [begin, begin + count) of all parameters, one after the other: where they lie in the
/// tensors of bucket `bucket` that this rank's optimizer holds.
struct ParameterSlice {
    std::int64_t begin = 0, count = 0;
    std::size_t bucket = 0;
    std::int64_t offset = 0;
};

/// The parameters that are trained and their gradients, in buckets that are summed over ranks while
/// the backward pass goes on. Gradients and the values that the optimizer changes are float32, or
/// float64 where the model is, whatever type it computes in. The parameters require gradients as
/// long as this lives.
class TrainedParameters {
  public:
    /// Moves the parameters into the buckets. Collective.
    TrainedParameters(const comm::Communicator& comm, std::vector<lm::NamedParameter>& parameters,
                      const ShardingOptions& options);
    TrainedParameters(const TrainedParameters&) = delete;
    TrainedParameters& operator=(const TrainedParameters&) = delete;
    ~TrainedParameters();

    Sharding sharding() const noexcept { return options_.sharding; }
    std::int64_t elements() const noexcept { return elements_; }

    /// Begins a step without gradients.
    void clear();
    /// Whether the backward pass that comes is summed over ranks as it goes: the last of a step,
    /// or each where gradients are sharded; then all ranks have equally many.
    enum class Pass { local, summed };
    void begin(Pass pass);
    /// In a pass: the gradients of `layer` and of those above are complete.
    void layer_done(std::int64_t layer);
    /// Ends a pass, also one in which this rank had nothing to compute.
    void end();
    /// Waits until the gradients are summed. Collective.
    void finish();
    /// All passes of a step up to the end of the last, which is the caller's: calls
    /// `pass(i, Pass)` for each of this rank's `count`. Returns what went wrong here; the sums went
    /// on nevertheless, for the others. Collective.
    std::optional<Error> run_passes(std::size_t count,
                                    const std::function<void(std::size_t, Pass)>& pass);
    /// Returns the time of this step so far in which passes waited for sums [s].
    double waited() const noexcept { return waited_; }

    /// Tensors that this rank's optimizer works on, one per bucket: the whole bucket, or this
    /// rank's part. Padding is zero.
    const std::vector<at::Tensor>& values() const noexcept { return values_; }
    const std::vector<at::Tensor>& gradients() const noexcept { return gradients_; }
    /// Returns the 2-norm of the global gradient. Collective.
    double norm() const;
    /// Scales the global gradient down to `most`, as torch's clip_grad_norm_; `norm` is its norm.
    void clip(double norm, double most);
    /// Copies updated `values` to the parameters of all ranks. Collective.
    void publish();

    /// Slices that this rank's optimizer holds, and the part of them that this rank writes.
    std::vector<ParameterSlice> held() const;
    std::vector<ParameterSlice> written() const;
    /// Returns the global gradient [elements] on the CPU, for checks. Collective.
    at::Tensor whole_gradient() const;

  private:
    struct InFlight {
        std::size_t bucket;
        at::Tensor gradient;
    };
    bool is_sharded() const noexcept { return options_.sharding != Sharding::none; }
    at::Tensor part_of(const at::Tensor& buffer) const;
    void move_in(const ParameterBucket& bucket);
    void start_next();
    void wait();
    at::Tensor pack(const ParameterBucket& bucket);
    void absorb(std::size_t pending);
    ParameterSlice slice(std::size_t bucket, std::int64_t from, std::int64_t to,
                         std::int64_t offset) const;

    comm::Communicator comm_;
    std::vector<lm::NamedParameter>& parameters_;
    ShardingOptions options_;
    std::unique_ptr<PartReducer> reducer_;
    std::vector<ParameterBucket> buckets_;
    std::int64_t elements_ = 0;
    std::vector<at::Tensor> parameter_buffers_;  ///< whole buckets, in the model's type
    std::vector<at::Tensor> gradient_buffers_;   ///< whole buckets; empty where they are sharded
    std::vector<at::Tensor> values_, gradients_;
    std::deque<InFlight> in_flight_;  ///< of sharded gradients
    std::size_t started_ = 0;         ///< buckets of this pass, from the last on
    double waited_ = 0;
};

}  // namespace popalign::preference
