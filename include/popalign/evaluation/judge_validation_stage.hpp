#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/evaluation/judge_validation.hpp>
#include <popalign/lm/judge/answer_judge.hpp>
#include <popalign/lm/judge/judging.hpp>

#include <filesystem>
#include <optional>
#include <vector>

namespace popalign::evaluation {

/// Shows the judge every labelled pair in both orders and writes its verdicts as rows
/// {index, order, winner, probability_first, raw}, which `read_verdicts` reads. `pairs` must be the
/// same on all ranks, and so is the result; nothing if the deadline passed before the last pair.
/// Collective over the leaders.
std::optional<std::vector<OrderedChoices>> judge_labelled_pairs(
    const lm::JudgeSpec& judge, const std::vector<LabelledPair>& pairs,
    const lm::JudgingOptions& options, const std::filesystem::path& rows);

}  // namespace popalign::evaluation
