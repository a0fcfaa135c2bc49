#pragma once

#include <popalign/evaluation/benchmark_scores.hpp>
#include <popalign/evaluation/benchmark_stage.hpp>

#include <string>
#include <vector>

namespace popalign {

/// Answers of one model to this rank's items, by item and turn; the user's later turns follow the
/// answers to the earlier ones. Every draw depends on the run's seed, the item and the turn alone.
/// Collective over the leaders: the model is loaded by a node's ranks together.
std::vector<std::vector<std::string>> answer_items(const ModelRanks& ranks,
                                                   const BenchmarkInputs& inputs,
                                                   const std::string& name,
                                                   const ModelOptions& model,
                                                   const std::vector<JudgedItem>& items);

}  // namespace popalign
