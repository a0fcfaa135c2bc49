#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace popalign::lm {
class TrainableLm;
}

namespace popalign::preference {

/// Settings of an epoch of DPO whose speed is measured.
struct TrainingBenchOptions {
    std::filesystem::path pair_file;
    std::int64_t max_length = 1024, max_prompt_length = 512;
    std::int64_t global_batch_size = 16;     ///< pairs a step
    std::int64_t micro_batch_tokens = 1024;  ///< of one forward pass on one rank
    std::string batching = "shuffled";       ///< or by_instruction
    std::int64_t zero_stage = 0;
    bool activation_checkpointing = false;
    bool separate_prompts = false;  ///< true: compute a prompt anew for each answer
};

/// Totals of the epoch over all ranks. Times are in [s].
struct TrainingBenchFigures {
    std::size_t pairs = 0;
    double reference_seconds = 0, training_seconds = 0;
    double communication_seconds = 0;  ///< in which ranks waited for one another
    double tokens = 0;                 ///< in both sequences of each pair
    std::int64_t computed_tokens = 0;  ///< with equal prompts and answers counted once
    double model_flops = 0;            ///< of forward and backward passes [FLOP]
    double last_loss = 0;
    double peak_memory = 0;  ///< [byte]
};

/// Computes the reference values of all training pairs, then trains `model` on them. Collective.
TrainingBenchFigures measure_training(const comm::Communicator& comm, lm::TrainableLm& model,
                                      const lm::ModelFrontEnd& front_end,
                                      const TrainingBenchOptions& options, const Logger& logger);

}  // namespace popalign::preference
