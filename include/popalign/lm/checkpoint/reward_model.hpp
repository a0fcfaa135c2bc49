#pragma once

#include <popalign/lm/transformer/causal_lm.hpp>

#include <cstdint>
#include <filesystem>

namespace popalign::lm {

/// A reward model is a transformer with one more parameter, "score.weight" [1, hidden], in the
/// place of the head for tokens: an HF sequence classifier of one label.
bool is_reward_model(const CausalLm& model) noexcept;

/// From a reward model, or from any other model with a new head drawn from `seed`. Throws
/// InputError as `load_causal_lm`.
CausalLm load_reward_model(const std::filesystem::path& path, at::ScalarType dtype,
                           at::Device device, std::uint64_t seed = 0);

/// Scores [rows] in the model's type of the sequences that end at the rows of `hidden`.
at::Tensor reward_scores(const CausalLm& model, const at::Tensor& hidden);

}  // namespace popalign::lm
