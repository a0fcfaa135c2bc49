#include "evaluation/benchmark_scores.hpp"

#include <popalign/base/text.hpp>
#include <popalign/evaluation/bradley_terry.hpp>
#include <popalign/record/verdict_summary.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

namespace popalign::evaluation {
namespace {

using Json = nlohmann::ordered_json;
constexpr int rounds = 1000;

/// Numbers of unused judgements, by reason.
Json dropped(const std::vector<JudgedItem>& items) {
    std::uint64_t abstained = 0, unparsed = 0;
    for (const JudgedItem& item : items)
        for (const Judgement& judgement : item.judgements) {
            abstained += judgement.outcome == Outcome::abstained ? 1 : 0;
            unparsed += judgement.outcome == Outcome::unparsed ? 1 : 0;
        }
    return {{"abstained", abstained}, {"unparsed", unparsed}};
}

bool valid(const JudgedItem& item) {
    return std::ranges::all_of(item.judgements, &Judgement::valid);
}

/// Returns the probability that the model's answer is better, over both orders.
double win_probability(const JudgedItem& item) {
    return (item.judgements[0].probability + 1 - item.judgements[1].probability) / 2;
}

Json score_preferences(const std::vector<JudgedItem>& items, const ScoreOptions& options) {
    std::vector<AlpacaRow> rows;
    for (const JudgedItem& item : items)
        if (valid(item))
            rows.push_back({item.position, static_cast<double>(code_points(item.baselines[0])),
                            static_cast<double>(code_points(item.answers[0])),
                            1 + win_probability(item)});
    const AlpacaScore score = score_alpaca_eval(rows, options.length_control);
    Json json{{"win_rate", score.plain.value},
              {"standard_error", score.plain.standard_error},
              {"lower", score.plain.value - 1.96 * score.plain.standard_error},
              {"upper", score.plain.value + 1.96 * score.plain.standard_error},
              {"length_controlled_winrate", nullptr},
              {"avg_length", score.average_length},
              {"interval",
               "1.96 standard errors; lc: of the log-odds, by the infinitesimal jackknife, 95 %"}};
    if (score.length_controlled) {
        const Interval interval = length_controlled_interval(rows, *options.length_control);
        json["length_controlled_winrate"] = score.length_controlled->value;
        json["lc_standard_error"] = score.length_controlled->standard_error;
        json["lc_lower"] = interval.lower;
        json["lc_upper"] = interval.upper;
    }
    json["n_valid"] = rows.size();
    return json;
}

/// Every game of every valid item, as Arena-Hard counts them.
BattleSet battles_of(const std::vector<JudgedItem>& items, const ScoreOptions& options) {
    BattleSet set;
    const auto model = set.model(options.model), baseline = set.model(options.baseline);
    for (const JudgedItem& item : items) {
        if (!valid(item))
            continue;
        const AnswerStyle style = style_of(item.answers[0]), other = style_of(item.baselines[0]);
        for (const std::size_t order : {0U, 1U}) {
            const Judgement& judgement = item.judgements[order];
            const double first = judgement.outcome == Outcome::first    ? 1
                                 : judgement.outcome == Outcome::second ? 0
                                                                        : 0.5;
            const Battle battle{item.position, model, baseline, order == 0 ? first : 1 - first,
                                style,         other};
            set.battles.insert(set.battles.end(), static_cast<std::size_t>(judgement.games),
                               battle);
        }
    }
    return set;
}

Json score_games(const std::vector<JudgedItem>& items, const ScoreOptions& options) {
    const BattleSet set = battles_of(items, options);
    Json json = Json::object();
    if (!set.battles.empty()) {
        for (const auto& [prefix, control] :
             {std::pair{"", StyleControl::none},
              std::pair{"style_controlled_", StyleControl::length_and_markdown}}) {
            const auto scores = score_arena(
                set, {options.baseline, control, ResampledUnit::question, 100, options.seed});
            const ArenaScore& score = scores.front();
            json[prefix + std::string("score")] = score.score;
            json[prefix + std::string("lower")] = score.interval.lower;
            json[prefix + std::string("upper")] = score.interval.upper;
        }
        json["interval"] = "percentile bootstrap over questions, 100 rounds, 95 %";
    }
    json["battles"] = set.battles.size();
    json["n_valid"] = std::ranges::count_if(items, valid);
    return json;
}

/// Mean and interval of ratings grouped by question, which are drawn together.
Json rating_json(const std::vector<std::vector<double>>& ratings, std::uint64_t seed) {
    const auto mean = [&](std::span<const std::uint32_t> times) {
        double sum = 0, count = 0;
        for (std::size_t q = 0; q < ratings.size(); ++q)
            for (const double rating : ratings[q]) {
                sum += times[q] * rating;
                count += times[q];
            }
        return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
    };
    std::uint64_t n = 0;
    for (const auto& question : ratings)
        n += question.size();
    if (n == 0)
        return {{"score", nullptr}, {"n_valid", 0}};
    const std::vector<std::uint32_t> once(ratings.size(), 1);
    const Interval interval = bootstrap_interval(ratings.size(), rounds,
                                                 RandomStream(seed, "ratings", "bootstrap"), mean);
    return {{"score", mean(once)},
            {"lower", interval.lower},
            {"upper", interval.upper},
            {"n_valid", n}};
}

Json score_ratings(const std::vector<JudgedItem>& items, const ScoreOptions& options) {
    std::vector<std::vector<double>> all;
    std::map<std::string, std::vector<std::vector<double>>> categories;
    std::map<std::size_t, std::vector<std::vector<double>>> turns;
    for (const JudgedItem& item : items) {
        std::vector<double> ratings;
        for (std::size_t turn = 0; turn < item.judgements.size(); ++turn)
            if (const Judgement& judgement = item.judgements[turn]; judgement.valid()) {
                ratings.push_back(judgement.rating);
                turns[turn].push_back({judgement.rating});
            }
        all.push_back(ratings);
        categories[item.item.category].push_back(ratings);
    }
    Json json = rating_json(all, options.seed);
    json["interval"] = "percentile bootstrap over questions, 95 %";
    json["turns"] = Json::array();
    for (const auto& [turn, ratings] : turns)
        json["turns"].push_back(rating_json(ratings, options.seed));
    json["categories"] = Json::object();
    for (const auto& [category, ratings] : categories)
        json["categories"][category] = rating_json(ratings, options.seed);
    return json;
}

Json summary_json(const std::vector<Verdict>& verdicts) {
    const VerdictSummary s = summarise_verdicts(verdicts);
    return {{"win_rate", s.accuracy},
            {"lower", s.lower},
            {"upper", s.upper},
            {"interval", "Wilson, 95 %"},
            {"n", s.n},
            {"n_valid", s.n_valid},
            {"ties", s.ties},
            {"position_consistency", s.position_consistency}};
}

Json score_wins(const std::vector<JudgedItem>& items) {
    std::vector<Verdict> all;
    std::map<std::string, std::vector<Verdict>> categories;
    for (const JudgedItem& item : items)
        for (const auto order : {AnswerOrder::chosen_first, AnswerOrder::rejected_first}) {
            Verdict verdict = verdict_of(item.judgements[static_cast<std::size_t>(order)], order);
            verdict.pair = item.position;
            all.push_back(verdict);
            categories[item.item.category].push_back(verdict);
        }
    Json json = summary_json(all);
    if (categories.size() > 1)
        for (const auto& [category, verdicts] : categories)
            json["categories"][category] = summary_json(verdicts);
    return json;
}

const char* outcome_name(Outcome outcome) {
    static constexpr std::array<const char*, 5> names{"second", "first", "tie", "abstained",
                                                      "unparsed"};
    return names[static_cast<std::size_t>(outcome)];
}

Json judgement_json(Scoring scoring, const Judgement& judgement) {
    if (scoring == Scoring::rating)
        return {{"rating", judgement.valid() ? Json(judgement.rating) : Json(nullptr)},
                {"raw", judgement.raw}};
    return {{"outcome", outcome_name(judgement.outcome)},
            {"probability_first", judgement.probability},
            {"games", judgement.games},
            {"raw", judgement.raw}};
}

}  // namespace

nlohmann::ordered_json score_items(Scoring scoring, const std::vector<JudgedItem>& items,
                                   const ScoreOptions& options) {
    Json json;
    switch (scoring) {
        case Scoring::length_controlled_win_rate:
            json = score_preferences(items, options);
            break;
        case Scoring::bradley_terry:
            json = score_games(items, options);
            break;
        case Scoring::rating:
            json = score_ratings(items, options);
            break;
        case Scoring::win_rate:
            json = score_wins(items);
            break;
    }
    json["n"] = items.size();
    json["dropped"] = dropped(items);
    return json;
}

nlohmann::ordered_json item_row(Scoring scoring, const JudgedItem& item) {
    Json row{{"id", item.item.id}, {"position", item.position}};
    if (!item.item.category.empty())
        row["category"] = item.item.category;
    row["instruction"] = as_transcript(instruction_of(item.item));
    if (item.item.turns.size() > 1)
        row["turns"] = item.item.turns;
    if (item.answers.size() > 1)
        row["answers"] = item.answers;
    else
        row["answer"] = item.answers.front();
    if (!item.baselines.empty())
        row["baseline"] = item.baselines.front();
    if (scoring != Scoring::rating && item.judgements.size() == 2) {
        row["probability_answer_first"] = item.judgements[0].probability;
        row["probability_baseline_first"] = 1 - item.judgements[1].probability;
    }
    for (const Judgement& judgement : item.judgements)
        row["judgements"].push_back(judgement_json(scoring, judgement));
    return row;
}

}  // namespace popalign::evaluation
