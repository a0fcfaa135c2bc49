#include "lm/kernels/matrix_product.hpp"
#include "lm/kernels/row_kernels.hpp"
#include "lm/kernels/training_row_kernels.hpp"
#include "lm/transformer/differentiable.hpp"
#include "lm/transformer/training_kernels.hpp"

#include <popalign/base/range.hpp>
#include <popalign/lm/transformer/segment_forest.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>

namespace popalign::lm::training {
namespace {

using kernel::MatrixView;
using kernel::panel_width;
using kernel::PanelOutput;
using kernel::Panels;
using Segment = SegmentForest::Segment;

/// Query rows that are computed together, of each head of a group: their scores stay in the cache.
constexpr std::int64_t query_block = 64;

std::int64_t padded(std::int64_t columns) {
    return (columns + panel_width - 1) / panel_width * panel_width;
}

/// Segments whose rows see each other, in the order of their parents.
using Tree = std::vector<std::size_t>;

struct Plan {
    std::vector<Segment> segments;
    std::vector<Tree> trees;
    std::int64_t heads, kv_heads, dim, window;

    std::int64_t group() const noexcept { return heads / kv_heads; }
    float scale() const noexcept { return 1.0F / std::sqrt(static_cast<float>(dim)); }
};

Plan make_plan(const SegmentForest& forest, std::int64_t window, const at::Tensor& query,
               const at::Tensor& key) {
    Plan plan{forest.segments, {}, query.size(1), key.size(1), query.size(2), window};
    std::vector<std::size_t> tree_of;
    for (std::size_t i = 0; i < plan.segments.size(); ++i) {
        const auto parent = plan.segments[i].parent;
        tree_of.push_back(parent ? tree_of[*parent] : plan.trees.size());
        if (!parent)
            plan.trees.emplace_back();
        plan.trees[tree_of[i]].push_back(i);
    }
    return plan;
}

/// Calls `run(tree, kv_head)` for all of them on all threads; they share no row of a result.
template <class Run>
void for_each_tree(const Plan& plan, const Run& run) {
    const auto heads = static_cast<std::size_t>(plan.kv_heads);
    std::atomic<std::size_t> next{0};
    const std::int64_t threads = at::get_num_threads();
    at::parallel_for(0, threads, 1, [&](std::int64_t, std::int64_t) {
        for (std::size_t i = next++; i < plan.trees.size() * heads; i = next++)
            run(plan.trees[i / heads], static_cast<std::int64_t>(i % heads));
    });
}

/// Rows of one head in memory of their own.
class Rows {
  public:
    explicit Rows(std::int64_t dim) : dim_(dim) {}

    float* resize(std::int64_t rows) {
        values_.resize(static_cast<std::size_t>(rows * dim_));
        return values_.data();
    }
    float* row(std::int64_t index) { return values_.data() + index * dim_; }
    MatrixView view() const { return MatrixView::rows(values_.data(), dim_); }

  private:
    std::int64_t dim_;
    std::vector<float> values_;
};

/// Calls `visit(row, index)` for the rows that a segment's last row sees, in order.
template <class Visit>
void for_each_visible(const Plan& plan, std::size_t index, const Visit& visit) {
    std::vector<std::size_t> chain;
    for (std::optional<std::size_t> at = index; at; at = plan.segments[*at].parent)
        chain.insert(chain.begin(), *at);
    std::int64_t position = 0;
    for (const std::size_t part : chain)
        for (std::int64_t row = plan.segments[part].begin; row < plan.segments[part].end; ++row)
            visit(row, position++);
}

/// Where one head's numbers of a row lie in a tensor [rows, heads, dim].
struct HeadView {
    float* data;
    std::int64_t heads, dim;

    HeadView(const at::Tensor& tensor, std::int64_t dims)
        : data(tensor.data_ptr<float>()),
          heads(tensor.numel() / tensor.size(0) / dims),
          dim(dims) {}
    float* at(std::int64_t row, std::int64_t head) const {
        return data + (row * heads + head) * dim;
    }
};

void gather(const Plan& plan, std::size_t segment, const HeadView& from, std::int64_t head,
            Rows& to) {
    to.resize(plan.segments[segment].position + plan.segments[segment].end -
              plan.segments[segment].begin);
    for_each_visible(plan, segment, [&](std::int64_t row, std::int64_t index) {
        std::copy_n(from.at(row, head), plan.dim, to.row(index));
    });
}

/// Query rows [first, last) of a segment for all heads of a group: row `g * (last - first) + i`.
struct Block {
    std::int64_t first, last;  ///< relative to the segment
    std::int64_t begin, position;
    std::int64_t group;

    std::int64_t rows() const noexcept { return last - first; }
    std::int64_t all() const noexcept { return group * rows(); }
    std::int64_t visible() const noexcept { return position + last; }
    /// Keys that row `i` sees.
    Range seen(std::int64_t i, std::int64_t window) const noexcept {
        const std::int64_t end = position + first + i + 1;
        const std::int64_t from = window > 0 ? std::max<std::int64_t>(0, end - window) : 0;
        return {static_cast<std::size_t>(from), static_cast<std::size_t>(end)};
    }
};

template <class Run>
void for_each_block(const Segment& segment, std::int64_t group, const Run& run) {
    const std::int64_t rows = segment.end - segment.begin;
    for (std::int64_t first = 0; first < rows; first += query_block)
        run(Block{first, std::min(first + query_block, rows), segment.begin, segment.position,
                  group});
}

void gather_block(const Block& block, const HeadView& from, std::int64_t kv_head, float scale,
                  Rows& to) {
    to.resize(block.all());
    for (std::int64_t g = 0; g < block.group; ++g)
        for (std::int64_t i = 0; i < block.rows(); ++i) {
            const float* const source =
                from.at(block.begin + block.first + i, kv_head * block.group + g);
            float* const target = to.row(g * block.rows() + i);
            for (std::int64_t d = 0; d < from.dim; ++d)
                target[d] = source[d] * scale;
        }
}

/// Scores of one row become probabilities but for their sum, which is returned; what it does not
/// see becomes 0. `logsumexp` is that of the scores.
float soften(float* scores, Range seen, std::int64_t width, float& logsumexp) {
    float* const from = scores + seen.begin;
    const float largest = kernel::maximum(from, seen.size());
    const float sum = kernel::exponentials_in_place(from, seen.size(), largest);
    std::fill(scores, from, 0.0F);
    std::fill(scores + seen.end, scores + width, 0.0F);
    logsumexp = largest + std::log(sum);
    return sum;
}

class Forward {
  public:
    Forward(const Plan& plan, const at::Tensor& query, const at::Tensor& key,
            const at::Tensor& value, const at::Tensor& output, const at::Tensor& logsumexp)
        : plan_(plan),
          query_(query, plan.dim),
          key_(key, plan.dim),
          value_(value, plan.dim),
          output_(output, plan.dim),
          logsumexp_(logsumexp.data_ptr<float>()) {}

    void run(const Tree& tree, std::int64_t kv_head) const {
        Rows keys(plan_.dim), values(plan_.dim), queries(plan_.dim), outputs(padded(plan_.dim));
        Panels key_panels, value_panels;
        std::vector<float> scores;
        for (const std::size_t index : tree) {
            const Segment& segment = plan_.segments[index];
            const std::int64_t length = segment.position + segment.end - segment.begin;
            gather(plan_, index, key_, kv_head, keys);
            gather(plan_, index, value_, kv_head, values);
            key_panels.pack(keys.view().transposed(), plan_.dim, length);
            value_panels.pack(values.view(), length, plan_.dim);
            for_each_block(segment, plan_.group(), [&](const Block& block) {
                const std::int64_t visible = block.visible(), width = padded(visible);
                gather_block(block, query_, kv_head, plan_.scale(), queries);
                scores.resize(static_cast<std::size_t>(block.all() * width));
                key_panels.multiply(queries.view(), block.all(), plan_.dim, visible, scores.data(),
                                    width, PanelOutput::replace);
                std::vector<float> sums;
                for (std::int64_t row = 0; row < block.all(); ++row)
                    sums.push_back(soften(scores.data() + row * width,
                                          block.seen(row % block.rows(), plan_.window), width,
                                          *logsumexp_at(block, kv_head, row)));
                float* const mixed = outputs.resize(block.all());
                value_panels.multiply(MatrixView::rows(scores.data(), width), block.all(), visible,
                                      plan_.dim, mixed, padded(plan_.dim), PanelOutput::replace);
                write(block, kv_head, outputs, sums);
            });
        }
    }

  private:
    float* logsumexp_at(const Block& block, std::int64_t kv_head, std::int64_t row) const {
        const std::int64_t head = kv_head * block.group + row / block.rows();
        return logsumexp_ + (block.begin + block.first + row % block.rows()) * plan_.heads + head;
    }
    void write(const Block& block, std::int64_t kv_head, Rows& mixed,
               const std::vector<float>& sums) const {
        for (std::int64_t row = 0; row < block.all(); ++row) {
            float* const to = output_.at(block.begin + block.first + row % block.rows(),
                                         kv_head * block.group + row / block.rows());
            const float part = 1.0F / sums[static_cast<std::size_t>(row)];
            for (std::int64_t d = 0; d < plan_.dim; ++d)
                to[d] = mixed.row(row)[d] * part;
        }
    }

    const Plan& plan_;
    HeadView query_, key_, value_, output_;
    float* logsumexp_;
};

/// All of one pass; gradients as the tensors they belong to.
struct Gradients {
    at::Tensor query, key, value;
};

class BackwardPass {
  public:
    BackwardPass(const Plan& plan, const at::Tensor& query, const at::Tensor& key,
                 const at::Tensor& value, const at::Tensor& output, const at::Tensor& logsumexp,
                 const at::Tensor& above, const Gradients& gradients)
        : plan_(plan),
          query_(query, plan.dim),
          key_(key, plan.dim),
          value_(value, plan.dim),
          output_(output, plan.dim),
          above_(above, plan.dim),
          of_query_(gradients.query, plan.dim),
          of_key_(gradients.key, plan.dim),
          of_value_(gradients.value, plan.dim),
          logsumexp_(logsumexp.data_ptr<float>()) {}

    void run(const Tree& tree, std::int64_t kv_head) const {
        Scratch at(plan_.dim);
        for (const std::size_t index : tree) {
            const Segment& segment = plan_.segments[index];
            const std::int64_t length = segment.position + segment.end - segment.begin;
            gather(plan_, index, key_, kv_head, at.keys);
            gather(plan_, index, value_, kv_head, at.values);
            at.key_panels.pack(at.keys.view(), length, plan_.dim);
            for (Rows* sums : {&at.of_keys, &at.of_values})
                std::fill_n(sums->resize(length), length * padded(plan_.dim), 0.0F);
            for_each_block(segment, plan_.group(),
                           [&](const Block& block) { differentiate(block, kv_head, at); });
            for_each_visible(plan_, index, [&](std::int64_t row, std::int64_t position) {
                add(at.of_keys.row(position), of_key_.at(row, kv_head));
                add(at.of_values.row(position), of_value_.at(row, kv_head));
            });
        }
    }

  private:
    struct Scratch {
        explicit Scratch(std::int64_t dim)
            : keys(dim),
              values(dim),
              of_keys(padded(dim)),
              of_values(padded(dim)),
              queries(dim),
              above(dim),
              of_queries(padded(dim)) {}
        Rows keys, values, of_keys, of_values, queries, above, of_queries;
        Panels key_panels, panels;
        std::vector<float> scores, products, logsumexp, means;
    };

    void add(const float* from, float* to) const {
        for (std::int64_t d = 0; d < plan_.dim; ++d)
            to[d] += from[d];
    }

    /// Scores and products are held transposed, [keys, queries]: three of the four products with
    /// them then want no transposition.
    void differentiate(const Block& block, std::int64_t kv_head, Scratch& at) const {
        const std::int64_t rows = block.all(), width = padded(rows), visible = block.visible();
        const std::int64_t dim = plan_.dim, stride = padded(dim);
        gather_block(block, query_, kv_head, plan_.scale(), at.queries);
        gather_block(block, above_, kv_head, 1.0F, at.above);
        load_row_values(block, kv_head, at, width);
        at.scores.resize(static_cast<std::size_t>(visible * width));
        at.products.resize(at.scores.size());
        const auto transposed_product = [&](const Rows& left, const Rows& right, float* output) {
            at.panels.pack(right.view().transposed(), dim, rows);
            at.panels.multiply(left.view(), visible, dim, rows, output, width,
                               PanelOutput::replace);
        };
        transposed_product(at.keys, at.queries, at.scores.data());
        transposed_product(at.values, at.above, at.products.data());
        for (std::int64_t key = 0; key < visible; ++key) {
            float* const p = at.scores.data() + key * width;
            float* const s = at.products.data() + key * width;
            kernel::attention_gradient(p, s, at.logsumexp.data(), at.means.data(),
                                       static_cast<std::size_t>(rows));
            hide(block, key, p, s);
        }
        const MatrixView p = MatrixView::rows(at.scores.data(), width);
        const MatrixView s = MatrixView::rows(at.products.data(), width);
        at.panels.pack(at.above.view(), rows, dim);
        at.panels.multiply(p, visible, rows, dim, at.of_values.row(0), stride, PanelOutput::add);
        at.panels.pack(at.queries.view(), rows, dim);
        at.panels.multiply(s, visible, rows, dim, at.of_keys.row(0), stride, PanelOutput::add);
        float* const of_queries = at.of_queries.resize(rows);
        at.key_panels.multiply(s.transposed(), rows, visible, dim, of_queries, stride,
                               PanelOutput::replace);
        for (std::int64_t row = 0; row < rows; ++row) {
            float* const to = of_query_.at(token(block, row), head(block, kv_head, row));
            for (std::int64_t d = 0; d < dim; ++d)
                to[d] = at.of_queries.row(row)[d] * plan_.scale();
        }
    }

    /// Clears what the queries do not see of a key.
    void hide(const Block& block, std::int64_t key, float* p, float* s) const {
        if (plan_.window == 0 && key <= block.position + block.first)
            return;
        const auto position = static_cast<std::size_t>(key);
        for (std::int64_t i = 0; i < block.rows(); ++i) {
            const Range seen = block.seen(i, plan_.window);
            if (position >= seen.begin && position < seen.end)
                continue;
            for (std::int64_t row = i; row < block.all(); row += block.rows())
                p[row] = s[row] = 0;
        }
    }

    void load_row_values(const Block& block, std::int64_t kv_head, Scratch& at,
                         std::int64_t width) const {
        at.logsumexp.assign(static_cast<std::size_t>(width), 0.0F);
        at.means.assign(static_cast<std::size_t>(width), 0.0F);
        for (std::int64_t row = 0; row < block.all(); ++row) {
            const std::int64_t place = token(block, row), h = head(block, kv_head, row);
            const float* const y = output_.at(place, h);
            const float* const dy = above_.at(place, h);
            float mean = 0;
            for (std::int64_t d = 0; d < plan_.dim; ++d)
                mean += y[d] * dy[d];
            at.means[static_cast<std::size_t>(row)] = mean;
            at.logsumexp[static_cast<std::size_t>(row)] = logsumexp_[place * plan_.heads + h];
        }
    }

    static std::int64_t token(const Block& block, std::int64_t row) {
        return block.begin + block.first + row % block.rows();
    }
    static std::int64_t head(const Block& block, std::int64_t kv_head, std::int64_t row) {
        return kv_head * block.group + row / block.rows();
    }

    const Plan& plan_;
    HeadView query_, key_, value_, output_, above_, of_query_, of_key_, of_value_;
    const float* logsumexp_;
};

}  // namespace

at::Tensor attend(const SegmentForest& forest, std::int64_t window, const at::Tensor& query,
                  const at::Tensor& key, const at::Tensor& value) {
    const auto plan = std::make_shared<const Plan>(make_plan(forest, window, query, key));
    const at::Tensor q = query.contiguous(), k = key.contiguous(), v = value.contiguous();
    const auto options = query.options().requires_grad(false);
    const at::Tensor output = at::empty({q.size(0), plan->heads * plan->dim}, options);
    const at::Tensor logsumexp = at::empty({q.size(0), plan->heads}, options);
    const Forward forward(*plan, q, k, v, output, logsumexp);
    for_each_tree(*plan, [&](const Tree& tree, std::int64_t head) { forward.run(tree, head); });
    set_backward({output}, {q, k, v},
                 [plan, q, k, v, logsumexp, kept = output.detach()](const Tensors& gradients) {
                     const Gradients made{at::empty_like(q), at::zeros_like(k), at::zeros_like(v)};
                     const BackwardPass backward(*plan, q, k, v, kept, logsumexp,
                                                 gradients[0].contiguous(), made);
                     for_each_tree(*plan, [&](const Tree& tree, std::int64_t head) {
                         backward.run(tree, head);
                     });
                     return Tensors{made.query, made.key, made.value};
                 });
    return output;
}

}  // namespace popalign::lm::training
