#pragma once

#include <popalign/evaluation/alpaca_eval.hpp>
#include <popalign/evaluation/benchmark.hpp>
#include <popalign/record/judgement.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::evaluation {

/// An item with what was answered and what the judge said.
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
    std::string model, baseline;  ///< what results call them
    const LengthControlData* length_control = nullptr;
    std::uint64_t seed = 0;
};

/// The benchmark's figures with intervals, `n`, `n_valid` and what was dropped.
nlohmann::ordered_json score_items(Scoring scoring, const std::vector<JudgedItem>& items,
                                   const ScoreOptions& options);

/// An item as a row of the result: all that its figures come from.
nlohmann::ordered_json item_row(Scoring scoring, const JudgedItem& item);

}  // namespace popalign::evaluation
