#include "lm/transformer/reward_head.hpp"

#include <ATen/ATen.h>

#include <utility>

namespace popalign::lm {

RewardHead::RewardHead(at::Tensor weight) : weight_(std::move(weight)) {}

at::Tensor RewardHead::scores(const at::Tensor& hidden) const {
    return at::linear(hidden, weight_).squeeze(1);
}

}  // namespace popalign::lm
