#include "synthesis/work_units.hpp"

#include "synthesis/question.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/work_schedule.hpp>

namespace popalign::synthesis {

WorkUnits::WorkUnits(const SynthesisInputs& inputs, const SynthesisSetup& setup)
    : inputs_(inputs), setup_(setup), members_(setup.plan.generations.size()) {
    const auto& generations = setup.plan.generations;
    for (std::size_t g = 0; g < generations.size(); ++g) {
        const auto previous = generations[g].previous;
        if (previous && generations[*previous].model != generations[g].model)
            throw UsageError(generations[g].name +
                             ": the turns of a dialogue are answered by two models; name one");
        roots_.push_back(previous ? roots_.at(*previous) : g);
        members_[roots_[g]].push_back(g);
    }
}

/// Returns the rough work in tokens; only the order matters.
double WorkUnits::expected(const Instruction& instruction, std::size_t generation,
                           const ResponseLedger& ledger) const {
    constexpr double bytes_per_token = 4;
    const PlannedGeneration& planned = setup_.plan.generations[generation];
    const double prompt =
        static_cast<double>(instruction.text.size() + planned.turns.front().user.size()) /
        bytes_per_token;
    constexpr std::uint64_t enough = 20;
    const AnswerTally& known = ledger.earlier_tally()[generation];
    return prompt + (known.answers >= enough
                         ? known.mean_answer_tokens()
                         : static_cast<double>(token_limit(inputs_.synthesis, planned)));
}

std::vector<comm::WorkUnit> WorkUnits::missing(const comm::WorkLedger& work, int shard,
                                               const std::string& model,
                                               const ResponseLedger& ledger) const {
    const Range share = work.share(shard, setup_.instructions.size());
    std::vector<comm::WorkUnit> units;
    for (std::size_t i = share.begin; i < share.end; ++i)
        for (std::size_t root = 0; root < members_.size(); ++root) {
            if (members_[root].empty() || setup_.plan.generations[root].model != model)
                continue;
            comm::WorkUnit unit{i * roots_.size() + root, static_cast<std::uint32_t>(root), 0};
            for (const std::size_t g : members_[root])
                if (ledger.needs(i, g) && !ledger.was_made(i, g))
                    unit.expected += expected(setup_.instructions[i], g, ledger);
            if (unit.expected > 0)
                units.push_back(unit);
        }
    return units;
}

}  // namespace popalign::synthesis
