#pragma once

#include <popalign/base/resampling.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace popalign::evaluation {

/// Length and markdown counts of an answer, which style control adjusts for.
struct AnswerStyle {
    double length = 0;  ///< [token], or another unit that both answers share
    double headers = 0, lists = 0, bold = 0;
};

/// Counts markdown outside code blocks; the length is in code points.
AnswerStyle style_of(std::string_view text);

/// One comparison of two models' answers.
struct Battle {
    std::size_t question = 0;           ///< battles of one question may be resampled together
    std::size_t first = 0, second = 0;  ///< indices of models
    double first_wins = 0;              ///< 1, 0 or, for a tie, 0.5
    std::optional<AnswerStyle> first_style = {}, second_style = {};
};

struct BattleSet {
    std::vector<std::string> models;
    std::vector<Battle> battles;
    /// Returns the index of the model; adds a new name.
    std::size_t model(const std::string& name);
};

/// Reads rows {question_id, model_a, model_b, winner, style_a?, style_b?} as JSON Lines or a list,
/// `.gz` or not; `winner` is model_a, model_b, tie or tie (bothbad). Throws InputError.
BattleSet read_battles(const std::filesystem::path& path);

enum class StyleControl { none, length_and_markdown };

/// Returns each model's strength by maximum likelihood (Bradley and Terry 1952), as log-odds of
/// beating the baseline: 0 for it, NaN for models not connected with it. `times` are weights of the
/// battles. With style control, as Arena-Hard 2: differences of the answers' length and markdown
/// densities, normalised over all battles, are features beside the models. Throws UsageError if a
/// battle lacks a style that is to be controlled.
std::vector<double> bradley_terry(const BattleSet& set, std::size_t baseline,
                                  std::span<const double> times,
                                  StyleControl control = StyleControl::none);

/// Returns Arena-Hard's score of an Elo rating: the probability of beating the baseline [%].
double arena_score(double rating, double baseline_rating) noexcept;

enum class ResampledUnit { battle, question };

struct ArenaOptions {
    std::string baseline;
    StyleControl control = StyleControl::none;
    ResampledUnit unit = ResampledUnit::battle;
    int rounds = 100;
    std::uint64_t seed = 0;
};

struct ArenaScore {
    std::string model;
    double score = 0;   ///< probability of beating the baseline [%]
    Interval interval;  ///< 95 % percentile bootstrap [%]
    std::size_t n = 0;  ///< number of battles
};

/// Returns scores in the order of `set.models`. Models that no chain of battles connects with the
/// baseline are left out. Throws UsageError if the baseline fought no battle.
std::vector<ArenaScore> score_arena(const BattleSet& set, const ArenaOptions& options);

}  // namespace popalign::evaluation
