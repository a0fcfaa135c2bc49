#include "preference/pairs/reward_evaluation.hpp"

#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/preference/held_out_stage.hpp>

namespace popalign::preference {

std::string evaluate_held_out_pairs(const comm::Communicator& comm, const HeldOutInputs& inputs,
                                    const Logger& logger) {
    PreferenceInputs pairs;
    pairs.pair_file = inputs.pair_file;
    pairs.policy = inputs.model;
    pairs.reference = inputs.reference;
    pairs.device = inputs.device;
    pairs.selection = {Split::held_out, inputs.options.exclude_flags, inputs.options.strategies};
    pairs.limits = {inputs.options.max_length, inputs.options.max_prompt_length};
    pairs.beta = inputs.options.beta;
    pairs.micro_batch_tokens = inputs.options.micro_batch_tokens;
    const bool gives_scores = comm::run_on_all(comm, [&] {
        const std::filesystem::path path = inputs.model.require_path("evaluation");
        return lm::is_reward_model(path);
    });
    return gives_scores ? to_json(evaluate_reward_model(comm, pairs, logger))
                        : to_json(evaluate_preference(comm, pairs, logger));
}

}  // namespace popalign::preference
