#pragma once

#include <popalign/store/pair_store.hpp>
#include <popalign/synthesis/strategy.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace popalign {

/// One answer that is made for every instruction.
struct PlannedGeneration {
    std::string name;                     ///< e.g. "prefix/chosen"; of the first that asked for it
    std::string model;                    ///< name under `models`
    std::vector<Turn> turns;              ///< the last one's answer is this generation's
    std::optional<std::size_t> previous;  ///< the generation that answers the turn before

    /// What its random draws are keyed by, besides seed and instruction: its content, so that a
    /// plan with more or fewer strategies draws the same answers.
    std::string purpose;
};

struct PlannedPair {
    std::size_t chosen = 0, rejected = 0;  ///< generations
};

/// Every distinct generation of a set of strategies, once. Generations are equal if their model and
/// turns are. Ordered so that `previous` comes before; independent of ranks.
struct GenerationPlan {
    std::vector<PlannedGeneration> generations;
    std::vector<StrategyRow> strategies;
    std::vector<PlannedPair> pairs;  ///< one a strategy

    /// The models used, in order of first use.
    std::vector<std::string> models() const;
};

enum class Sharing { equal_once, none };

GenerationPlan make_generation_plan(const std::vector<StrategyOptions>& strategies,
                                    Sharing sharing);

/// The turns as YAML, as the pair file holds them.
std::string turns_text(const std::vector<Turn>& turns);

}  // namespace popalign
