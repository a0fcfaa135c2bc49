#pragma once

#include "preference/data/pair_data.hpp"
#include "preference/pairs/pair_trainer.hpp"
#include "preference/pairs/reference.hpp"
#include "support/tiny_model.hpp"

#include <popalign/lm/transformer/trainable_lm.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::test {

/// A tiny model with a head for scores.
lm::TrainableLm tiny_critic(at::ScalarType dtype);

/// `count` pairs of random tokens; lengths vary and strategies take turns.
preference::PairData random_pairs(std::size_t count, std::size_t strategies = 2);

/// Values by the model as it is, of all items.
preference::CompletionLogProbabilities own_reference(const lm::TrainableLm& model,
                                                     const preference::PairData& data);

/// The items with their reference values.
std::vector<preference::ReferencedPair> referenced(
    const preference::PairData& data, const preference::CompletionLogProbabilities& reference,
    std::span<const std::size_t> items);

/// This rank's share of all items as one batch.
preference::BatchShare share_of(
    const comm::Communicator& comm, const preference::PairData& data,
    const preference::CompletionLogProbabilities& reference,
    const preference::PairData* mismatched = nullptr,
    const preference::CompletionLogProbabilities* mismatched_reference = nullptr);

/// All item numbers of `data`.
std::vector<std::size_t> all_items(const preference::PairData& data);

/// Another model: every parameter moved by normal draws times `scale`.
void perturb(lm::TrainableLm& model, double scale);

}  // namespace popalign::test
