#pragma once

#include <popalign/base/resampling.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace popalign::evaluation {

/// One judged item: the reference's answer (1) against the model's (2).
struct AlpacaRow {
    std::size_t position = 0;           ///< of the item in the benchmark; picks its difficulty
    double length_1 = 0, length_2 = 0;  ///< [code points]
    double preference = 1.5;            ///< 1: the reference's is better ... 2: the model's
};

/// What length control needs beside the rows themselves.
struct LengthControlData {
    std::vector<double> difficulty;  ///< of each item by position
    struct Gamed {
        double length_difference = 0;  ///< standardised
        double difficulty = 0;
        double preference = 0;  ///< in [0, 1]
    };
    std::vector<Gamed> gamed;  ///< rows of baselines that play with length, which steady the fit
};

/// Whether the folder has what the next one reads.
bool has_length_control(const std::filesystem::path& directory);
/// From `instruction_difficulty*.csv` and `df_gamed*.csv` in `directory`. Throws InputError.
LengthControlData load_length_control(const std::filesystem::path& directory);

/// In percent.
struct Estimate {
    double value = 0, standard_error = 0;
};

/// A preference as a share of a win; 0 and 1.5 are ties, half a win.
double win_of(double preference) noexcept;

/// Mean of the wins; its standard error from their standard deviation (n - 1). Agrees with the
/// published leaderboard of AlpacaEval 2 to 1e-9.
Estimate plain_win_rate(std::span<const AlpacaRow> rows);

/// The win rate where both answers are equally long (Dubois et al. 2024, "Length-controlled
/// AlpacaEval", length_controlled_v1): a logistic regression without intercept on the standardised
/// length difference (through tanh), the item's difficulty and whether the row is the model's own,
/// with an L1 penalty of 1 against C = 10 and gamed rows of weight 0.1, evaluated at no difference.
/// Throws InputError if an item has no difficulty, UsageError for fewer than two rows.
Estimate length_controlled_win_rate(std::span<const AlpacaRow> rows, const LengthControlData& data);

/// Its 95 % interval over draws of items [%]: normal on the log-odds, so that it stays within 0 and
/// 100, with the infinitesimal jackknife's standard error (Efron 1982), in which each item counts
/// by its difficulty and by what it does to the fit. The published standard error has only the
/// difficulties in it. The penalty's pull (0.02 points at 75 % of 805 items) is left in.
Interval length_controlled_interval(std::span<const AlpacaRow> rows, const LengthControlData& data);

struct AlpacaScore {
    Estimate plain;
    std::optional<Estimate> length_controlled;  ///< nothing without its data
    std::int64_t average_length = 0;            ///< of the model's answers, cut to an integer
    std::size_t n = 0;
};

/// `data` may be null.
AlpacaScore score_alpaca_eval(std::span<const AlpacaRow> rows, const LengthControlData* data);

}  // namespace popalign::evaluation
