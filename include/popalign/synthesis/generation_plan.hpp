#pragma once

#include <popalign/store/pairs/pair_rows.hpp>
#include <popalign/synthesis/strategy.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace popalign::synthesis {

/// One kind of answer, made for every instruction that needs it.
struct PlannedGeneration {
    std::string name;         ///< e.g. "prefix/chosen", after the first side that uses it
    std::string model;        ///< name under `models`
    std::vector<Turn> turns;  ///< the answer to the last turn is this generation's
    std::optional<std::size_t> previous;  ///< generation that answers the preceding turn

    /// Key of its random draws, besides seed and instruction. It depends only on the generation's
    /// content, so that a plan with more or fewer strategies draws the same answers.
    std::string purpose;

    /// Texts that may replace `{affix}` (`chosen`) and `{opposite_affix}` (`rejected`) on this
    /// side.
    std::vector<Affix> affixes = {};
    std::int64_t draw = 0;  ///< number of the repeat of one strategy
};

struct PlannedPair {
    std::size_t chosen = 0, rejected = 0;  ///< indices of generations
    std::uint32_t strategy = 0;            ///< index into GenerationPlan::strategies
};

/// Number of instructions that a strategy is applied to.
struct Quota {
    double share = 1;
    std::int64_t count = 0;  ///< 0: `share` decides
};

/// Every distinct generation of a set of strategies, once. Two generations are equal if their
/// model, turns, affixes and draw are. A generation stands behind its `previous`. The plan is
/// independent of ranks.
struct GenerationPlan {
    std::vector<PlannedGeneration> generations;
    std::vector<store::StrategyRow> strategies;
    std::vector<Quota> quotas;       ///< by strategy
    std::vector<PlannedPair> pairs;  ///< one for each strategy and draw

    /// Returns the models used, in order of first use.
    std::vector<std::string> models() const;
};

enum class Sharing { equal_once, none };

GenerationPlan make_generation_plan(const std::vector<StrategyOptions>& strategies,
                                    Sharing sharing);

/// Returns turns and affixes as YAML, as stored in the pair file.
std::string template_text(const PlannedGeneration& generation);

}  // namespace popalign::synthesis
