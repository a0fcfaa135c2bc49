#include "lm/transformer/inference_weights.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

namespace popalign::lm {
namespace {

/// Weights that lie in one matrix, one below the other: a group of projections, or one alone.
struct MatrixPlan {
    std::vector<WeightSpec> members;
    std::vector<std::int64_t> rows;  ///< that this rank holds of each
    std::int64_t columns = 0;

    std::int64_t total_rows() const {
        std::int64_t sum = 0;
        for (const std::int64_t count : rows)
            sum += count;
        return sum;
    }
};

std::vector<MatrixPlan> plan_matrices(const std::vector<WeightSpec>& specs,
                                      const TensorParallel& parallel) {
    std::vector<MatrixPlan> plans;
    for (const WeightSpec& spec : specs) {
        if (!spec.is_matrix())
            continue;
        const bool joins = !plans.empty() && !spec.group.empty() &&
                           plans.back().members.front().group == spec.group &&
                           plans.back().members.front().layer == spec.layer;
        MatrixPlan& plan = joins ? plans.back() : plans.emplace_back();
        const std::vector<std::int64_t> shape = parallel.slice(spec).shape(spec);
        plan.members.push_back(spec);
        plan.rows.push_back(shape[0]);
        plan.columns = shape[1];
    }
    return plans;
}

}  // namespace

/// Reads weights into memory that ranks may share.
class InferenceWeights::Builder {
  public:
    Builder(at::TensorOptions options, WeightMemory& memory, const WeightReader& read,
            const TensorParallel& parallel, std::int64_t layers)
        : options_(options), memory_(memory), read_(read), parallel_(parallel), layers_(layers) {}

    std::shared_ptr<const PanelMatrix> matrix(const MatrixPlan& plan) const {
        auto matrix =
            std::make_shared<PanelMatrix>(memory_, plan.total_rows(), plan.columns, options_);
        std::int64_t row = 0;
        for (std::size_t i = 0; i < plan.members.size(); ++i) {
            if (memory_.fills(part_of(plan.members[i])))
                matrix->fill(tensor(plan.members[i]), row);
            row += plan.rows[i];
        }
        return matrix;
    }
    at::Tensor tensor(const WeightSpec& spec) const {
        const WeightSlice slice = parallel_.slice(spec);
        at::Tensor weight = at::empty(slice.shape(spec), options_);
        read_(spec, slice, weight);
        return weight;
    }

  private:
    /// The embedding goes with the first layer; the head stands alone.
    std::size_t part_of(const WeightSpec& spec) const {
        return static_cast<std::size_t>(
            spec.layer.value_or(spec.name == "lm_head" ? layers_ : std::int64_t{0}));
    }

    at::TensorOptions options_;
    WeightMemory& memory_;
    const WeightReader& read_;
    const TensorParallel& parallel_;
    std::int64_t layers_;
};

InferenceWeights::InferenceWeights(const ModelConfig& config, at::TensorOptions options,
                                   WeightMemory& memory, const WeightReader& read,
                                   const TensorParallel& parallel)
    : parallel_(parallel),
      vocab_size_(config.vocab_size),
      vocabulary_(parallel.vocabulary(config)),
      elementwise_(options.device().is_cpu() && options.dtype() == at::kFloat
                       ? ElementwiseImpl::row_kernels
                       : ElementwiseImpl::libtorch),
      layers_(static_cast<std::size_t>(config.num_hidden_layers), Layer(parallel)) {
    const Builder builder(options, memory, read, parallel, config.num_hidden_layers);
    const std::vector<WeightSpec> specs = weight_specs(config);
    for (const MatrixPlan& plan : plan_matrices(specs, parallel)) {
        const WeightSpec& first = plan.members.front();
        auto matrix = builder.matrix(plan);
        if (first.layer)
            layers_[static_cast<std::size_t>(*first.layer)].groups[first.group] = {
                std::move(matrix), {}, plan.rows, first.split == WeightSplit::columns};
        else
            (first.name == "lm_head" ? head_ : embedding_) = std::move(matrix);
    }
    if (!head_)
        head_ = embedding_;
    add_vectors(builder, specs);
}

void InferenceWeights::add_vectors(const Builder& builder, const std::vector<WeightSpec>& specs) {
    for (const WeightSpec& spec : specs) {
        if (spec.is_matrix())
            continue;
        const at::Tensor vector = builder.tensor(spec);
        if (!spec.layer) {
            final_norm_ = vector;
            continue;
        }
        Layer& layer = layers_[static_cast<std::size_t>(*spec.layer)];
        if (!spec.name.ends_with(".bias")) {
            layer.norms[spec.name] = vector;
            continue;
        }
        // Biases follow each other as their projections do.
        at::Tensor& bias = layer.groups.at(spec.group).bias;
        bias = bias.defined() ? at::cat({bias, vector}) : vector;
    }
}

std::size_t InferenceWeights::bytes(const ModelConfig& config, at::TensorOptions options,
                                    const TensorParallel& parallel) {
    std::size_t sum = 0;
    for (const MatrixPlan& plan : plan_matrices(weight_specs(config), parallel))
        sum += PanelMatrix::bytes(plan.total_rows(), plan.columns, options);
    return sum;
}

std::vector<at::Tensor> InferenceWeights::Layer::project(std::string_view group,
                                                         const at::Tensor& x) const {
    const Group& found = groups.find(group)->second;
    at::Tensor product = found.matrix->apply(x, found.bias);
    if (found.summed)
        product = parallel_.sum(product);
    return product.split_with_sizes(found.sizes, 1);
}

at::Tensor InferenceWeights::Layer::norm(std::string_view name) const {
    const auto found = norms.find(name);
    return found == norms.end() ? at::Tensor() : found->second;
}

at::Tensor InferenceWeights::embed(const at::Tensor& tokens) const {
    if (parallel_.size() == 1)
        return embedding_->gather(tokens);
    const auto first = static_cast<std::int64_t>(vocabulary_.begin);
    const auto end = static_cast<std::int64_t>(vocabulary_.end);
    const at::Tensor here = tokens.ge(first).logical_and(tokens.lt(end));
    const at::Tensor rows = embedding_->gather((tokens - first) * here);
    return parallel_.sum(rows * here.unsqueeze(1));
}

at::Tensor InferenceWeights::logits(const at::Tensor& hidden) const {
    return parallel_.join_columns(head_->apply(hidden),
                                  static_cast<std::int64_t>(vocabulary_.begin), vocab_size_);
}

at::Tensor InferenceWeights::target_log_probabilities(const at::Tensor& hidden,
                                                      const at::Tensor& targets) const {
    constexpr std::int64_t block = 256;
    const at::Tensor columns = targets.to(hidden.device()).unsqueeze(1);
    std::vector<at::Tensor> parts;
    for (std::int64_t begin = 0; begin < hidden.size(0); begin += block) {
        const std::int64_t rows = std::min(block, hidden.size(0) - begin);
        at::Tensor values = logits(hidden.narrow(0, begin, rows));
        if (values.scalar_type() != at::kDouble)
            values = values.to(at::kFloat);
        parts.push_back(values.gather(1, columns.narrow(0, begin, rows)).squeeze(1) -
                        values.logsumexp(1));
    }
    return parts.empty() ? at::zeros({0}, hidden.options().dtype(at::kFloat)) : at::cat(parts);
}

}  // namespace popalign::lm
