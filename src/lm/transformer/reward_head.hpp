#pragma once

#include <ATen/core/Tensor.h>

namespace popalign::lm {

/// The output of a reward model, in the place of the head for tokens: one score a sequence. On disk
/// "score.weight" of an HF sequence classifier of one label.
class RewardHead {
  public:
    /// `weight` [1, hidden]; shared, so that training it changes the scores.
    explicit RewardHead(at::Tensor weight);

    /// Scores [rows] in the model's type of the sequences that end at the rows of `hidden` [rows,
    /// hidden].
    at::Tensor scores(const at::Tensor& hidden) const;

  private:
    at::Tensor weight_;
};

}  // namespace popalign::lm
