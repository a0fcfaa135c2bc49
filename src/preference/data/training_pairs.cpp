#include "preference/data/training_pairs.hpp"

#include "preference/data/pair_transforms.hpp"

#include <popalign/base/error.hpp>

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace popalign::preference {
namespace {

PairData open_selected(const comm::Communicator& comm, const TrainInputs& inputs,
                       const lm::ModelFrontEnd& front_end, const PairSelection& selection,
                       std::string_view purpose, const Logger& logger) {
    PairData data = open_pair_data(comm, inputs.pair_file, front_end, selection,
                                   {inputs.options.max_length, inputs.options.max_prompt_length});
    logger.info(
        fmt::format("{} of {} pairs are {}, {} dropped because an answer has no room "
                    "within max_length",
                    data.size(), data.file_pairs, purpose, data.dropped));
    return data;
}

}  // namespace

PairData open_training_pairs(const comm::Communicator& comm, const TrainInputs& inputs,
                             const lm::ModelFrontEnd& front_end, const Objective& objective,
                             const Logger& logger) {
    const TrainOptions& options = inputs.options;
    PairSelection selection{Split::train, options.exclude_flags, options.strategies};
    selection.proportions = options.proportions;
    selection.limit_instructions = options.limit_instructions;
    selection.labels = options.labels;
    PairData data = open_selected(comm, inputs, front_end, selection, "trained on", logger);
    return objective.uses_rejected() ? data : chosen_only(std::move(data));
}

PairData open_held_out_pairs(const comm::Communicator& comm, const TrainInputs& inputs,
                             const lm::ModelFrontEnd& front_end, const Logger& logger) {
    const PairSelection selection{Split::held_out, inputs.options.exclude_flags,
                                  inputs.options.strategies};
    return open_selected(comm, inputs, front_end, selection, "held out", logger);
}

void require_pairs(const PairData& data) {
    if (data.size() == 0)
        throw UsageError(fmt::format(
            "no pair of {} in the file is left to train on; look at train.strategies and "
            "train.exclude_flags",
            data.file_pairs));
}

}  // namespace popalign::preference
