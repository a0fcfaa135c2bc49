#pragma once

#include "synthesis/setup.hpp"

#include <popalign/base/deadline.hpp>
#include <popalign/lm/model_ranks.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace popalign {

/// What some answers of one generation took, further attempts included.
struct AnswerSample {
    std::uint64_t answers = 0, attempts = 0, prompt_tokens = 0, answer_tokens = 0, bytes = 0;

    double mean_prompt_tokens() const { return mean(prompt_tokens); }
    double mean_answer_tokens() const { return mean(answer_tokens); }
    double mean_bytes() const { return mean(bytes); }

  private:
    double mean(std::uint64_t sum) const {
        return answers == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(answers);
    }
};

/// How fast a model was: seconds are summed over the ranks that worked.
struct ModelSample {
    double load_seconds = 0, rank_seconds = 0;
    std::uint64_t tokens = 0;  ///< of prompts and answers
};

struct Calibration {
    std::vector<AnswerSample> generations;
    std::map<std::string, ModelSample> models;
};

/// Answers the first `synthesis.plan_sample` training instructions for every generation, in memory.
/// The same on all ranks. Collective over the leaders.
Calibration calibrate(const ModelRanks& ranks, const SynthesisInputs& inputs,
                      const SynthesisSetup& setup, const Deadline& deadline);

}  // namespace popalign
