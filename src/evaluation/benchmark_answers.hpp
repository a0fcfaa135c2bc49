#pragma once

#include "evaluation/answer_journal.hpp"
#include "evaluation/benchmark_scores.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/evaluation/benchmark_stage.hpp>

#include <optional>
#include <string>
#include <vector>

namespace popalign::evaluation {

/// A model and its name in the config or the result.
struct AnsweringModel {
    std::string name;
    lm::ModelOptions options;
};

/// Returns one model's answers to this rank's items, by item and turn; later turns of the user
/// follow the answers to the earlier ones. Draws depend only on the run's seed, the item and the
/// turn. Journalled answers are not made again. Returns nothing if the deadline came first;
/// `deadline` may be null. Collective over the leaders; the ranks of a node load the model
/// together.
std::optional<std::vector<std::vector<std::string>>> answer_items(
    const lm::ModelRanks& ranks, const BenchmarkInputs& inputs, const AnsweringModel& model,
    const std::vector<JudgedItem>& items, AnswerJournal& journal, const Deadline* deadline);

}  // namespace popalign::evaluation
