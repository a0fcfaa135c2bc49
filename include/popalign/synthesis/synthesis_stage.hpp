#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/lm/model_ranks.hpp>
#include <popalign/synthesis/synthesis_options.hpp>

#include <filesystem>

namespace popalign {

/// Where a run's pairs are.
std::filesystem::path pair_file_path(const RunOptions& run);

/// Instructions x strategies -> pair file: makes what no journal holds, then merges. Results do not
/// depend on the ranks. `requeue` if the deadline came first, with everything finished saved.
/// Collective over the leaders.
ExitStatus run_synthesis(const ModelRanks& ranks, const SynthesisInputs& inputs,
                         const Deadline& deadline);

/// What `run_synthesis` would make, for people: generations, upper bounds of tokens and bytes, and
/// the first rendered prompt of each generation. Loads no weights.
std::string describe_synthesis(const SynthesisInputs& inputs);

}  // namespace popalign
