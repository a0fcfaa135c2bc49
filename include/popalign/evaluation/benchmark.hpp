#pragma once

#include <popalign/evaluation/alpaca_eval.hpp>
#include <popalign/record/instruction.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace popalign::evaluation {

/// One question of a benchmark, in one turn or more.
struct BenchmarkItem {
    std::string id, category;
    std::vector<Message> context = {};         ///< the dialogue before the first turn
    std::vector<std::string> turns;            ///< what the user says
    std::vector<std::string> references = {};  ///< known good answers, by turn; none if empty
    std::optional<std::string> baseline = {};  ///< the answer of `Benchmark::baseline_name`
    std::optional<double> temperature = {};    ///< replaces the config's

    bool operator==(const BenchmarkItem&) const = default;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& id& category& context& turns& references& baseline& temperature;
    }
};

/// How judgements become figures.
enum class Scoring {
    length_controlled_win_rate,  ///< preferences: win rate, plain and length-controlled
    bradley_terry,               ///< labels as games, with and without style control
    rating,                      ///< 1 to 10 for each turn; there is no baseline
    win_rate                     ///< mean probability over both orders: wins, ties and losses
};

struct Benchmark {
    std::string name;
    Scoring scoring = Scoring::win_rate;
    std::string judge_template;  ///< unless the config names another
    /// The model whose answers the items hold; empty: the config's baseline answers.
    std::string baseline_name = {};
    std::vector<BenchmarkItem> items = {};
    std::uint64_t left_out = 0;                            ///< rows of the data without a question
    std::optional<LengthControlData> length_control = {};  ///< absent where the folder has none
};

/// Whether its answers are compared with a baseline's.
inline bool compares(const Benchmark& benchmark) {
    return benchmark.scoring != Scoring::rating;
}

/// Keeps the first `count` items of each category; 0: all.
void keep_first(std::vector<BenchmarkItem>& items, std::int64_t count);

/// The dialogue up to the first turn.
Instruction instruction_of(const BenchmarkItem& item);

}  // namespace popalign::evaluation
