#pragma once

#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/preference/data/pair_data.hpp>
#include <popalign/preference/pairs/pair_trainer.hpp>
#include <popalign/preference/pairs/reference.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::test {

/// Two layers with random weights, grouped queries and, for qwen2, biases; equal on every rank.
CausalLm tiny_model(const std::string& architecture, at::ScalarType dtype,
                    at::Device device = at::kCPU, std::int64_t vocabulary = 61);

/// The same with a head for scores.
CausalLm tiny_critic(at::ScalarType dtype);

/// `count` pairs of random tokens; lengths vary and strategies take turns.
PairData random_pairs(std::size_t count, std::size_t strategies = 2);

/// Values by the model as it is, of all items.
CompletionLogProbabilities own_reference(const CausalLm& model, const PairData& data);

/// The items with their reference values.
std::vector<ReferencedPair> referenced(const PairData& data,
                                       const CompletionLogProbabilities& reference,
                                       std::span<const std::size_t> items);

/// This rank's share of all items as one batch.
BatchShare share_of(const Communicator& comm, const PairData& data,
                    const CompletionLogProbabilities& reference,
                    const PairData* mismatched = nullptr,
                    const CompletionLogProbabilities* mismatched_reference = nullptr);

/// All item numbers of `data`.
std::vector<std::size_t> all_items(const PairData& data);

/// Another model: every parameter moved by normal draws times `scale`.
void perturb(CausalLm& model, double scale);

}  // namespace popalign::test
