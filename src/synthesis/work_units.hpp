#pragma once

#include "synthesis/response_ledger.hpp"
#include "synthesis/setup.hpp"

#include <popalign/comm/work_ledger.hpp>
#include <popalign/comm/work_schedule.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::synthesis {

/// Units of work that ranks draw. A unit is an instruction's answers to the turns of one dialogue
/// by one model, which need each other; it begins with the generation `root`.
class WorkUnits {
  public:
    /// Throws UsageError for a dialogue in which more than one model answers.
    WorkUnits(const SynthesisInputs& inputs, const SynthesisSetup& setup);

    /// Returns the units that were missing when this run began, for the model and a shard's share
    /// of the instructions. The same on all ranks.
    std::vector<comm::WorkUnit> missing(const comm::WorkLedger& work, int shard,
                                        const std::string& model,
                                        const ResponseLedger& ledger) const;

    std::uint64_t instruction(const comm::WorkUnit& unit) const { return unit.id / roots_.size(); }
    /// Returns the generations of the unit, each behind the one it needs.
    const std::vector<std::size_t>& generations(const comm::WorkUnit& unit) const {
        return members_[unit.group];
    }

  private:
    double expected(const Instruction& instruction, std::size_t generation,
                    const ResponseLedger& ledger) const;

    const SynthesisInputs& inputs_;
    const SynthesisSetup& setup_;
    std::vector<std::size_t> roots_;                 // by generation
    std::vector<std::vector<std::size_t>> members_;  // by root
};

}  // namespace popalign::synthesis
