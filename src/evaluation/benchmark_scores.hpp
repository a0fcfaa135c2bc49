#pragma once

#include <popalign/evaluation/alpaca_eval.hpp>
#include <popalign/evaluation/benchmark.hpp>
#include <popalign/record/judgement.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::evaluation {

/// An item with its answers and judgements.
struct JudgedItem {
    BenchmarkItem item;
    std::uint64_t position = 0;                   ///< among all items
    std::vector<std::string> answers, baselines;  ///< by turn; ratings have no baseline
    /// The model's answer shown first, then last; or, for ratings, one for each turn.
    std::vector<Judgement> judgements;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& item& position& answers& baselines& judgements;
    }
};

struct ScoreOptions {
    std::string model, baseline;  ///< names in results
    const LengthControlData* length_control = nullptr;
    std::uint64_t seed = 0;
};

/// Returns the benchmark's figures with intervals, `n`, `n_valid` and counts of dropped items.
nlohmann::ordered_json score_items(Scoring scoring, const std::vector<JudgedItem>& items,
                                   const ScoreOptions& options);

/// Returns an item as a row of the result, with everything that its figures are computed from.
nlohmann::ordered_json item_row(Scoring scoring, const JudgedItem& item);

}  // namespace popalign::evaluation
