#include "synthesis/calibration.hpp"

#include "synthesis/budget.hpp"
#include "synthesis/response_ledger.hpp"
#include "synthesis/synthesizer.hpp"

#include <popalign/comm/collectives.hpp>

#include <array>
#include <span>

namespace popalign {
namespace {

AnswerSample sum_over_ranks(const Communicator& comm, const AnswerSample& mine) {
    std::array<std::uint64_t, 5> sums{mine.answers, mine.attempts, mine.prompt_tokens,
                                      mine.answer_tokens, mine.bytes};
    all_reduce(comm, std::span<std::uint64_t>(sums), Reduction::sum);
    return {sums[0], sums[1], sums[2], sums[3], sums[4]};
}

ModelSample sum_over_ranks(const Communicator& comm, const ModelWork& mine) {
    const double busy = mine.answers > 0 ? mine.seconds : 0;
    return {all_reduce(comm, mine.load_seconds, Reduction::maximum),
            all_reduce(comm, busy, Reduction::sum),
            all_reduce(comm, mine.prompt_tokens + mine.answer_tokens, Reduction::sum)};
}

}  // namespace

Calibration calibrate(const ModelRanks& ranks, const SynthesisInputs& inputs,
                      const SynthesisSetup& setup, const Deadline& deadline) {
    const Communicator& comm = ranks.leaders();
    const auto sample = static_cast<std::uint64_t>(inputs.synthesis.plan_sample);
    const std::size_t generations = setup.plan.generations.size();
    ResponseLedger ledger(comm, setup.instructions.size(), generations,
                          [&](std::size_t i, std::size_t g) {
                              return setup.coverage->is_among_first(i, sample) &&
                                     setup.coverage->has_generation(i, g);
                          });
    Budget budget(comm, inputs, setup, ledger, {});
    Synthesizer synthesizer(inputs, setup, ledger, budget, deadline);
    synthesizer.run(ranks);

    Calibration result;
    for (std::size_t g = 0; g < generations; ++g) {
        AnswerSample mine;
        for (std::size_t i = ledger.rows().begin; i < ledger.rows().end; ++i)
            if (const auto& made = ledger.find(i, g)) {
                ++mine.answers;
                mine.attempts += made->attempts;
                mine.prompt_tokens += made->prompt_tokens;
                mine.answer_tokens += made->answer_tokens;
                mine.bytes += made->text.size() + made->thought.size() +
                              sizeof(TokenId) * made->tokens.size();
            }
        result.generations.push_back(sum_over_ranks(comm, mine));
    }
    for (const std::string& name : setup.plan.models()) {
        const auto found = synthesizer.work().find(name);
        result.models[name] =
            sum_over_ranks(comm, found == synthesizer.work().end() ? ModelWork() : found->second);
    }
    return result;
}

}  // namespace popalign
