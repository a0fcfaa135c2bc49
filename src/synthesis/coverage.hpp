#pragma once

#include <popalign/record/instruction.hpp>
#include <popalign/synthesis/generation_plan.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace popalign::synthesis {

/// Assignment of instructions to strategies, and so to generations. The instructions of each split
/// are ordered at random by run seed and id, and a strategy takes the first ones. So a smaller
/// quota's instructions are part of a larger one's, across strategies, and share their generations.
class Coverage {
  public:
    Coverage(const GenerationPlan& plan, std::span<const Instruction> instructions,
             std::uint64_t seed);

    bool has_pair(std::size_t instruction, std::size_t pair) const {
        return has(instruction, pairs_[pair]);
    }
    bool has_generation(std::size_t instruction, std::size_t generation) const {
        return has(instruction, generations_[generation]);
    }
    /// Returns the number of instructions, over both splits, for a pair or a generation of the
    /// plan.
    std::uint64_t pair_count(std::size_t pair) const { return sum(pairs_[pair]); }
    std::uint64_t generation_count(std::size_t generation) const {
        return sum(generations_[generation]);
    }
    /// Returns whether it is one of the first `count` training instructions, in the order of
    /// quotas.
    bool is_among_first(std::size_t instruction, std::uint64_t count) const {
        const Place& place = places_[instruction];
        return place.split == static_cast<std::uint8_t>(Split::train) && place.number < count;
    }
    std::uint64_t pairs() const;
    std::uint64_t generations() const;

  private:
    using Counts = std::array<std::uint64_t, 2>;  // by split

    static std::uint64_t sum(const Counts& counts) { return counts[0] + counts[1]; }
    bool has(std::size_t instruction, const Counts& counts) const {
        const Place& place = places_[instruction];
        return place.number < counts[place.split];
    }

    struct Place {
        std::uint64_t number;  // place in the order of its split
        std::uint8_t split;
    };
    std::vector<Place> places_;
    std::vector<Counts> pairs_, generations_;
};

}  // namespace popalign::synthesis
