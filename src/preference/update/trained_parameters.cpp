#include "preference/update/trained_parameters.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

namespace popalign::preference {
namespace {

/// Buckets of sharded gradients that wait for their sum at most.
constexpr std::size_t most_in_flight = 3;

at::ScalarType master_type(const at::Tensor& parameter) {
    return parameter.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

double sum_of_squares(const at::Tensor& values) {
    constexpr std::int64_t chunk = std::int64_t{1} << 20;  // a copy in float64 of all is large
    double sum = 0;
    for (std::int64_t begin = 0; begin < values.numel(); begin += chunk)
        sum += values.narrow(0, begin, std::min(chunk, values.numel() - begin))
                   .to(at::kDouble)
                   .square()
                   .sum()
                   .item<double>();
    return sum;
}

}  // namespace

Sharding parse_zero_stage(std::int64_t stage) {
    switch (stage) {
        case 0:
            return Sharding::none;
        case 1:
            return Sharding::optimizer;
        case 2:
            return Sharding::gradients;
        default:
            throw UsageError("the ZeRO stage must be 0, 1 or 2");
    }
}

TrainedParameters::TrainedParameters(const comm::Communicator& comm,
                                     std::vector<lm::NamedParameter>& parameters,
                                     const ShardingOptions& options)
    : comm_(comm), parameters_(parameters), options_(options) {
    if (parameters.empty())
        throw Error("a model without parameters cannot be trained");
    reducer_ = make_part_reducer(comm, parameters.front().tensor.device());
    buckets_ = make_buckets(parameters, options.bucket_elements, reducer_->parts());
    for (const ParameterBucket& bucket : buckets_) {
        move_in(bucket);
        elements_ += bucket.elements;
    }
    started_ = buckets_.size();
}

TrainedParameters::~TrainedParameters() {
    for (lm::NamedParameter& parameter : parameters_) {
        parameter.tensor.mutable_grad() = at::Tensor();
        parameter.tensor.requires_grad_(false);
    }
}

at::Tensor TrainedParameters::part_of(const at::Tensor& buffer) const {
    const std::int64_t size = buffer.numel() / reducer_->parts();
    return buffer.narrow(0, reducer_->part() * size, size);
}

void TrainedParameters::move_in(const ParameterBucket& bucket) {
    const c10::NoGradGuard no_gradients;
    const std::int64_t size = bucket.part * reducer_->parts();
    const at::TensorOptions options =
        parameters_[bucket.first].tensor.options().requires_grad(false);
    const auto master = master_type(parameters_[bucket.first].tensor);
    const at::Tensor buffer = at::zeros({size}, options);
    const bool whole = options_.sharding != Sharding::gradients;
    const at::Tensor gradient = at::zeros({whole ? size : bucket.part}, options.dtype(master));
    std::int64_t offset = 0;
    for (std::size_t i = bucket.first; i < bucket.last; ++i) {
        at::Tensor& tensor = parameters_[i].tensor;
        const std::int64_t count = tensor.numel();
        const at::Tensor place = buffer.narrow(0, offset, count).view(tensor.sizes());
        place.copy_(tensor);
        tensor.set_data(place);
        tensor.requires_grad_(true);
        if (whole)
            tensor.mutable_grad() = gradient.narrow(0, offset, count).view(tensor.sizes());
        offset += count;
    }
    parameter_buffers_.push_back(buffer);
    if (whole)
        gradient_buffers_.push_back(gradient);
    const at::Tensor held = is_sharded() ? part_of(buffer) : buffer;
    values_.push_back(held.scalar_type() == master ? held : held.to(master));
    gradients_.push_back(whole && is_sharded() ? part_of(gradient) : gradient);
}

void TrainedParameters::clear() {
    waited_ = 0;
    for (at::Tensor& gradient : gradient_buffers_.empty() ? gradients_ : gradient_buffers_)
        gradient.zero_();
    if (gradient_buffers_.empty())
        for (lm::NamedParameter& parameter : parameters_)
            parameter.tensor.mutable_grad() = at::Tensor();
}

void TrainedParameters::begin(Pass pass) {
    started_ = pass == Pass::summed ? 0 : buckets_.size();
}

void TrainedParameters::layer_done(std::int64_t layer) {
    while (started_ < buckets_.size()) {
        const ParameterBucket& next = buckets_[buckets_.size() - 1 - started_];
        if (!next.layer || *next.layer < layer)
            break;
        start_next();
    }
    absorb(reducer_->pending());
}

void TrainedParameters::end() {
    while (started_ < buckets_.size())
        start_next();
}

std::optional<Error> TrainedParameters::run_passes(
    std::size_t count, const std::function<void(std::size_t, Pass)>& pass) {
    std::size_t passes = std::max<std::size_t>(1, count);
    const bool each = options_.sharding == Sharding::gradients;
    if (each)
        passes = comm::all_reduce<std::uint64_t>(comm_, passes, comm::Reduction::maximum);
    std::optional<Error> failure;
    for (std::size_t i = 0; i < passes; ++i) {
        const Pass mode = each || i + 1 == passes ? Pass::summed : Pass::local;
        begin(mode);
        // After a failure the sums go on, for the others: all leave together behind them.
        try {
            if (i < count && !failure)
                pass(i, mode);
        } catch (const Error& error) {
            failure = error;
        } catch (const std::exception& error) {
            failure = Error(error.what());
        }
        if (i + 1 < passes)
            end();
    }
    return failure;
}

void TrainedParameters::finish() {
    reducer_->finish();
    absorb(0);
}

void TrainedParameters::wait() {
    const auto start = std::chrono::steady_clock::now();
    finish();
    waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void TrainedParameters::start_next() {
    const std::size_t index = buckets_.size() - 1 - started_++;
    switch (options_.sharding) {
        case Sharding::none:
            reducer_->add(gradient_buffers_[index], comm::PartwiseSum::Result::on_all);
            break;
        case Sharding::optimizer:
            reducer_->add(gradient_buffers_[index], comm::PartwiseSum::Result::in_parts);
            break;
        case Sharding::gradients:
            if (in_flight_.size() >= most_in_flight)
                wait();
            in_flight_.push_back({index, pack(buckets_[index])});
            reducer_->add(in_flight_.back().gradient, comm::PartwiseSum::Result::in_parts);
            break;
    }
}

at::Tensor TrainedParameters::pack(const ParameterBucket& bucket) {
    const c10::NoGradGuard no_gradients;
    const at::Tensor buffer = at::zeros({bucket.part * reducer_->parts()},
                                        gradients_.front().options().requires_grad(false));
    std::int64_t offset = 0;
    for (std::size_t i = bucket.first; i < bucket.last; ++i) {
        at::Tensor& tensor = parameters_[i].tensor;
        if (tensor.grad().defined())
            buffer.narrow(0, offset, tensor.numel()).copy_(tensor.grad().reshape(-1));
        tensor.mutable_grad() = at::Tensor();
        offset += tensor.numel();
    }
    return buffer;
}

void TrainedParameters::absorb(std::size_t pending) {
    for (; in_flight_.size() > pending; in_flight_.pop_front())
        gradients_[in_flight_.front().bucket].add_(part_of(in_flight_.front().gradient));
}

double TrainedParameters::norm() const {
    double squares = 0;
    for (const at::Tensor& gradient : gradients_)
        squares += sum_of_squares(gradient);
    return std::sqrt(is_sharded() ? comm::all_reduce(comm_, squares, comm::Reduction::sum)
                                  : squares);
}

void TrainedParameters::clip(double norm, double most) {
    const double factor = most / (norm + 1e-6);
    if (factor < 1)
        for (at::Tensor& gradient : gradients_)
            gradient.mul_(factor);
}

void TrainedParameters::publish() {
    const c10::NoGradGuard no_gradients;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        at::Tensor& buffer = parameter_buffers_[i];
        const at::Tensor held = is_sharded() ? part_of(buffer) : buffer;
        if (!held.is_alias_of(values_[i]))
            held.copy_(values_[i]);
        if (is_sharded())
            reducer_->spread(buffer);
    }
    reducer_->finish();
}

ParameterSlice TrainedParameters::slice(std::size_t bucket, std::int64_t from, std::int64_t to,
                                        std::int64_t offset) const {
    const ParameterBucket& whole = buckets_[bucket];
    from = std::min(from, whole.elements);
    return {whole.begin + from, std::min(to, whole.elements) - from, bucket, offset};
}

std::vector<ParameterSlice> TrainedParameters::held() const {
    if (is_sharded())
        return written();
    std::vector<ParameterSlice> slices;
    for (std::size_t i = 0; i < buckets_.size(); ++i)
        slices.push_back(slice(i, 0, buckets_[i].elements, 0));
    return slices;
}

std::vector<ParameterSlice> TrainedParameters::written() const {
    std::vector<ParameterSlice> slices;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        const std::int64_t part = buckets_[i].part, from = reducer_->part() * part;
        const ParameterSlice mine = slice(i, from, from + part, is_sharded() ? 0 : from);
        if (mine.count > 0)
            slices.push_back(mine);
    }
    return slices;
}

at::Tensor TrainedParameters::whole_gradient() const {
    at::Tensor whole = at::zeros({elements_}, at::kDouble);
    for (const ParameterSlice& mine : written())
        whole.narrow(0, mine.begin, mine.count)
            .copy_(gradients_[mine.bucket].narrow(0, mine.offset, mine.count));
    comm::all_reduce(comm_,
                     std::span(whole.data_ptr<double>(), static_cast<std::size_t>(whole.numel())),
                     comm::Reduction::sum);
    return whole;
}

}  // namespace popalign::preference
