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
    std::size_t position = 0;  ///< place of the item in the benchmark; index of its difficulty
    double length_1 = 0, length_2 = 0;  ///< [code points]
    double preference = 1.5;            ///< 1: the reference's is better ... 2: the model's
};

/// Data for length control, beside the rows themselves.
struct LengthControlData {
    std::vector<double> difficulty;  ///< by position of the item
    struct Gamed {
        double length_difference = 0;  ///< standardised
        double difficulty = 0;
        double preference = 0;  ///< in [0, 1]
    };
    std::vector<Gamed> gamed;  ///< rows of baselines that vary length, to stabilise the fit
};

/// Returns whether the folder has the files that `load_length_control` reads.
bool has_length_control(const std::filesystem::path& directory);
/// Reads `instruction_difficulty*.csv` and `df_gamed*.csv` in `directory`. Throws InputError.
LengthControlData load_length_control(const std::filesystem::path& directory);

/// An estimate and its standard error [%].
struct Estimate {
    double value = 0, standard_error = 0;
};

/// Converts a preference to a share of a win; 0 and 1.5 are ties, half a win.
double win_of(double preference) noexcept;

/// Returns the mean of the wins, with the standard error from their standard deviation (n - 1).
/// Agrees with the published leaderboard of AlpacaEval 2 to 1e-9.
Estimate plain_win_rate(std::span<const AlpacaRow> rows);

/// Returns the win rate at equal length of both answers (Dubois et al. 2024, "Length-controlled
/// AlpacaEval", length_controlled_v1): a logistic regression without intercept on the standardised
/// length difference (through tanh), the item's difficulty and whether the row is the model's own,
/// with an L1 penalty of 1 against C = 10 and gamed rows of weight 0.1, evaluated at no difference.
/// Throws InputError if an item has no difficulty, UsageError for fewer than two rows.
Estimate length_controlled_win_rate(std::span<const AlpacaRow> rows, const LengthControlData& data);

/// Returns the 95 % interval of the length-controlled win rate over draws of items [%]. It is
/// normal on the log-odds, so that it stays within 0 and 100, with the infinitesimal jackknife's
/// standard error (Efron 1982): each item counts by its difficulty and by its influence on the fit.
/// The published standard error includes only the difficulties. The penalty's bias (0.02 points at
/// 75 % of 805 items) is not corrected.
Interval length_controlled_interval(std::span<const AlpacaRow> rows, const LengthControlData& data);

struct AlpacaScore {
    Estimate plain;
    std::optional<Estimate> length_controlled;  ///< absent without its data
    std::int64_t average_length = 0;            ///< of the model's answers [code points], truncated
    std::size_t n = 0;
};

/// Computes all figures. `data` may be null: no length control.
AlpacaScore score_alpaca_eval(std::span<const AlpacaRow> rows, const LengthControlData* data);

}  // namespace popalign::evaluation
