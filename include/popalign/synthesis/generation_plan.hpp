#pragma once

#include <popalign/store/pairs/pair_rows.hpp>
#include <popalign/synthesis/strategy.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace popalign::synthesis {

/// One answer that is made for every instruction that needs it.
struct PlannedGeneration {
    std::string name;                     ///< e.g. "prefix/chosen"; of the first that asked for it
    std::string model;                    ///< name under `models`
    std::vector<Turn> turns;              ///< the last one's answer is this generation's
    std::optional<std::size_t> previous;  ///< the generation that answers the turn before

    /// What its random draws are keyed by, besides seed and instruction: its content, so that a
    /// plan with more or fewer strategies draws the same answers.
    std::string purpose;

    /// What `{affix}` (`chosen`) and `{opposite_affix}` (`rejected`) may stand for on this side.
    std::vector<Affix> affixes = {};
    std::int64_t draw = 0;  ///< repeats of one strategy are told apart by it
};

struct PlannedPair {
    std::size_t chosen = 0, rejected = 0;  ///< generations
    std::uint32_t strategy = 0;            ///< of GenerationPlan::strategies
};

/// How many instructions a strategy is applied to.
struct Quota {
    double share = 1;
    std::int64_t count = 0;  ///< 0: `share` says
};

/// Every distinct generation of a set of strategies, once. Generations are equal if their model,
/// turns, affixes and draw are. Ordered so that `previous` comes before; independent of ranks.
struct GenerationPlan {
    std::vector<PlannedGeneration> generations;
    std::vector<store::StrategyRow> strategies;
    std::vector<Quota> quotas;       ///< by strategy
    std::vector<PlannedPair> pairs;  ///< one for each strategy and draw

    /// The models used, in order of first use.
    std::vector<std::string> models() const;
};

enum class Sharing { equal_once, none };

GenerationPlan make_generation_plan(const std::vector<StrategyOptions>& strategies,
                                    Sharing sharing);

/// Turns and affixes as YAML, as the pair file holds them.
std::string template_text(const PlannedGeneration& generation);

}  // namespace popalign::synthesis
