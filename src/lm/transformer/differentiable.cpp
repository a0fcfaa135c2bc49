#include "lm/transformer/differentiable.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>
#include <memory>
#include <type_traits>
#include <utility>

namespace popalign::lm {
namespace {

class BackwardNode final : public torch::autograd::Node {
  public:
    explicit BackwardNode(Backward backward) : backward_(std::move(backward)) {}

    torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
        TORCH_CHECK(backward_, "a backward pass over what was already let go");
        return backward_(gradients);
    }
    void release_variables() override { backward_ = nullptr; }

  private:
    Backward backward_;
};

/// Nodes count their owners themselves in newer versions of libtorch, and do not in 2.11.
template <class Node>
auto make_node(Backward backward) {
    if constexpr (std::is_base_of_v<c10::intrusive_ptr_target, Node>)
        return c10::make_intrusive<Node>(std::move(backward));
    else
        return std::make_shared<Node>(std::move(backward));
}

}  // namespace

bool wants_gradient(at::TensorList inputs) {
    return c10::GradMode::is_enabled() && std::ranges::any_of(inputs, [](const at::Tensor& input) {
               return input.defined() && input.requires_grad();
           });
}

void set_backward(at::TensorList outputs, at::TensorList inputs, Backward backward) {
    if (!wants_gradient(inputs))
        return;
    auto node = make_node<BackwardNode>(std::move(backward));
    torch::autograd::edge_list edges;
    for (const at::Tensor& input : inputs)
        edges.push_back(input.defined() ? torch::autograd::impl::gradient_edge(input)
                                        : torch::autograd::Edge());
    node->set_next_edges(std::move(edges));
    for (const at::Tensor& output : outputs)
        torch::autograd::set_history(output, node);
}

at::Tensor gradient_in_place(const at::Tensor& parameter) {
    return parameter.is_leaf() && parameter.requires_grad() ? parameter.grad() : at::Tensor();
}

at::Tensor recompute_later(const at::Tensor& x,
                           const std::function<at::Tensor(const at::Tensor&)>& body) {
    if (!c10::GradMode::is_enabled())
        return body(x);
    at::Tensor output;
    {
        const c10::NoGradGuard no_gradients;
        output = body(x);
    }
    set_backward({output}, {x}, [x, body](const Tensors& gradients) -> Tensors {
        const c10::AutoGradMode with_gradients(true);
        const at::Tensor again = x.detach().requires_grad_(true);
        torch::autograd::backward({body(again)}, {gradients[0]});
        return {again.grad()};
    });
    return output;
}

at::Tensor watch_backward(const at::Tensor& x, std::function<void()> when_done) {
    if (!wants_gradient({x}))
        return x;
    at::Tensor output = x.detach();
    set_backward({output}, {x}, [done = std::move(when_done)](const Tensors& gradients) {
        done();
        return gradients;
    });
    return output;
}

}  // namespace popalign::lm
