#pragma once

#include <popalign/evaluation/alpaca_eval.hpp>
#include <popalign/record/instruction.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace popalign::evaluation {

/// One question of a benchmark, in one or more turns.
struct BenchmarkItem {
    std::string id, category;
    std::vector<Message> context = {};         ///< the dialogue before the first turn
    std::vector<std::string> turns;            ///< messages of the user
    std::vector<std::string> references = {};  ///< known good answers by turn; may be empty
    std::optional<std::string> baseline = {};  ///< the answer of `Benchmark::baseline_name`
    std::optional<double> temperature = {};    ///< overrides the config's

    bool operator==(const BenchmarkItem&) const = default;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& id& category& context& turns& references& baseline& temperature;
    }
};

/// Way from judgements to figures.
enum class Scoring {
    length_controlled_win_rate,  ///< preferences: win rate, plain and length-controlled
    bradley_terry,               ///< labels as games, with and without style control
    rating,                      ///< 1 to 10 for each turn, without a baseline
    win_rate                     ///< wins, ties and losses by the mean probability over both orders
};

struct Benchmark {
    std::string name;
    Scoring scoring = Scoring::win_rate;
    std::string judge_template;  ///< used unless the config names another
    /// Name of the model whose answers the items hold; empty: the config's baseline answers.
    std::string baseline_name = {};
    std::vector<BenchmarkItem> items = {};
    std::uint64_t left_out = 0;  ///< rows of the data that have no question
    std::optional<LengthControlData> length_control = {};  ///< absent where the folder has none
};

/// Returns whether the answers are compared with a baseline's.
inline bool compares(const Benchmark& benchmark) {
    return benchmark.scoring != Scoring::rating;
}

/// Keeps the first `count` items of each category; 0: all.
void keep_first(std::vector<BenchmarkItem>& items, std::int64_t count);

/// Returns the dialogue up to the first turn.
Instruction instruction_of(const BenchmarkItem& item);

}  // namespace popalign::evaluation
