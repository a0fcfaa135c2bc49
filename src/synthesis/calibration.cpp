#include "synthesis/calibration.hpp"

#include "synthesis/budget.hpp"
#include "synthesis/response_ledger.hpp"
#include "synthesis/synthesizer.hpp"

#include <popalign/comm/collectives.hpp>

namespace popalign::synthesis {
namespace {

ModelSample sum_over_ranks(const comm::Communicator& comm, const ModelWork& mine) {
    const double busy = mine.answers > 0 ? mine.seconds : 0;
    return {comm::all_reduce(comm, mine.load_seconds, comm::Reduction::maximum),
            comm::all_reduce(comm, busy, comm::Reduction::sum),
            comm::all_reduce(comm, mine.prompt_tokens + mine.answer_tokens, comm::Reduction::sum)};
}

}  // namespace

Calibration calibrate(const lm::ModelRanks& ranks, const SynthesisInputs& inputs,
                      const SynthesisSetup& setup, const Deadline& deadline) {
    const comm::Communicator& comm = ranks.leaders();
    const auto sample = static_cast<std::uint64_t>(inputs.synthesis.plan_sample);
    ResponseLedger ledger(setup.instructions.size(), setup.plan,
                          [&](std::uint64_t i, std::size_t g) {
                              return setup.coverage->is_among_first(i, sample) &&
                                     setup.coverage->has_generation(i, g);
                          });
    Budget budget(comm, inputs, setup, ledger, {});
    Synthesizer synthesizer(inputs, setup, ledger, budget, deadline, ranks);
    synthesizer.run();

    Calibration result;
    result.generations = sum_over_ranks(comm, ledger.own_tally());
    for (const std::string& name : setup.plan.models()) {
        const auto found = synthesizer.work().find(name);
        result.models[name] =
            sum_over_ranks(comm, found == synthesizer.work().end() ? ModelWork() : found->second);
    }
    return result;
}

}  // namespace popalign::synthesis
