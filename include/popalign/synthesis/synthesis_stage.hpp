#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/lm/engine/model_ranks.hpp>
#include <popalign/synthesis/synthesis_options.hpp>

#include <filesystem>

namespace popalign::synthesis {

/// Returns the path of a run's pair file.
std::filesystem::path pair_file_path(const RunOptions& run);
/// Returns the path of the file that `merge_so_far` writes.
std::filesystem::path pairs_so_far_path(const RunOptions& run);

/// Makes the pair file of all instructions and strategies: generates answers that no journal holds,
/// then merges the journals. Results do not depend on the number of ranks. Returns `requeue` if the
/// deadline or the budget came first; finished answers are saved. Throws UsageError if the budget
/// is used up at the start. Collective over the leaders.
ExitStatus run_synthesis(const lm::ModelRanks& ranks, const SynthesisInputs& inputs,
                         const Deadline& deadline);

/// Writes the pairs in the journals so far to a separate file; `run_synthesis` may be running.
/// Collective over the leaders.
ExitStatus merge_so_far(const lm::ModelRanks& ranks, const SynthesisInputs& inputs);

/// Estimates `run_synthesis` on these ranks and returns JSON for people and scripts: generations
/// with their first rendered prompts, tokens, time, memory, bytes and cost. Answers the first
/// `synthesis.plan_sample` instructions, in memory, to measure lengths and speed. Collective over
/// the leaders.
std::string plan_synthesis(const lm::ModelRanks& ranks, const SynthesisInputs& inputs,
                           const Deadline& deadline);

/// Returns the same without a sample: tokens are bounds, time is unknown. Loads no weights. Call on
/// one rank.
std::string describe_synthesis(const SynthesisInputs& inputs);

}  // namespace popalign::synthesis
