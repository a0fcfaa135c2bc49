#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/lm/engine/model_ranks.hpp>
#include <popalign/synthesis/synthesis_options.hpp>

#include <filesystem>

namespace popalign::synthesis {

/// Where a run's pairs are.
std::filesystem::path pair_file_path(const RunOptions& run);
/// And where those are that a run has made so far.
std::filesystem::path pairs_so_far_path(const RunOptions& run);

/// Instructions x strategies -> pair file: makes what no journal holds, then merges. Results do not
/// depend on the ranks. `requeue` if the deadline or the budget came first, with everything
/// finished saved; a start that finds the budget used up throws UsageError. Collective over the
/// leaders.
ExitStatus run_synthesis(const lm::ModelRanks& ranks, const SynthesisInputs& inputs,
                         const Deadline& deadline);

/// Writes the pairs that journals hold so far to a file of their own, while `run_synthesis` may be
/// at work. Collective over the leaders.
ExitStatus merge_so_far(const lm::ModelRanks& ranks, const SynthesisInputs& inputs);

/// What `run_synthesis` would make on these ranks, as JSON for people and scripts: generations with
/// their first rendered prompts, tokens, time, memory, bytes and cost. Really answers the first
/// `synthesis.plan_sample` instructions, in memory, to know lengths and speed. Collective over the
/// leaders.
std::string plan_synthesis(const lm::ModelRanks& ranks, const SynthesisInputs& inputs,
                           const Deadline& deadline);

/// The same without a sample, on one rank: tokens are bounds, time is not known. Loads no weights.
std::string describe_synthesis(const SynthesisInputs& inputs);

}  // namespace popalign::synthesis
