#pragma once

#include "synthesis/response_ledger.hpp"
#include "synthesis/setup.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/lm/engine/model_ranks.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace popalign::synthesis {

/// Measured speed of a model; seconds are summed over the ranks that worked.
struct ModelSample {
    double load_seconds = 0, rank_seconds = 0;
    std::uint64_t tokens = 0;  ///< in prompts and answers
};

struct Calibration {
    std::vector<AnswerTally> generations;
    std::map<std::string, ModelSample> models;
};

/// Answers the first `synthesis.plan_sample` training instructions for every generation, in memory.
/// The result is the same on all ranks. Collective over the leaders.
Calibration calibrate(const lm::ModelRanks& ranks, const SynthesisInputs& inputs,
                      const SynthesisSetup& setup, const Deadline& deadline);

}  // namespace popalign::synthesis
