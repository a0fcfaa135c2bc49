#include "preference/pairs/pair_stage.hpp"
#include "preference/ppo/ppo_stage.hpp"

#include <popalign/comm/run.hpp>
#include <popalign/preference/train_stage.hpp>

namespace popalign::preference {

ExitStatus run_training(const comm::Communicator& comm, const TrainInputs& inputs,
                        const Deadline& deadline, const Logger& logger) {
    comm::run_on_all(comm, [&] { inputs.options.validate(); });
    if (inputs.options.objective != "ppo")
        return run_pair_training(comm, inputs, deadline, logger);
    if (inputs.goal == TrainGoal::reference)  // its rollouts do not exist yet
        return ExitStatus::done;
    return run_ppo(comm, inputs, deadline, logger);
}

}  // namespace popalign::preference
