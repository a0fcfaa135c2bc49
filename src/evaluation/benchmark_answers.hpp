#pragma once

#include "evaluation/answer_journal.hpp"
#include "evaluation/benchmark_scores.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/evaluation/benchmark_stage.hpp>

#include <optional>
#include <string>
#include <vector>

namespace popalign::evaluation {

/// A model and what the config or the result calls it.
struct AnsweringModel {
    std::string name;
    lm::ModelOptions options;
};

/// Answers of one model to this rank's items, by item and turn; the user's later turns follow the
/// answers to the earlier ones. Every draw depends on the run's seed, the item and the turn alone.
/// An answer counts as made once it is journalled; what the journal has is not made again. Nothing
/// if the deadline, if there is one, left some. Collective over the leaders: the model is loaded by
/// a node's ranks together.
std::optional<std::vector<std::vector<std::string>>> answer_items(
    const lm::ModelRanks& ranks, const BenchmarkInputs& inputs, const AnsweringModel& model,
    const std::vector<JudgedItem>& items, AnswerJournal& journal, const Deadline* deadline);

}  // namespace popalign::evaluation
