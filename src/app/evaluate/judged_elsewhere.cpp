#include "app/evaluate/judged_elsewhere.hpp"

#include <popalign/evaluation/alpaca_annotations.hpp>
#include <popalign/evaluation/alpaca_eval.hpp>
#include <popalign/evaluation/bradley_terry.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace popalign::app {
namespace {

using Json = nlohmann::ordered_json;

Json optional_number(const std::optional<evaluation::Estimate>& estimate,
                     double evaluation::Estimate::*member) {
    return estimate ? Json((*estimate).*member) : Json(nullptr);
}

/// Length control's data; nothing, with a warning, if the user named no folder and none was
/// fetched.
std::optional<evaluation::LengthControlData> length_control(const CommandContext& context,
                                                            const std::filesystem::path& named,
                                                            const std::filesystem::path& fetched) {
    if (!named.empty())
        return evaluation::load_length_control(named);
    if (evaluation::has_length_control(fetched))
        return evaluation::load_length_control(fetched);
    context.logger.warn(fmt::format(
        "{} is absent: no length-controlled win rates; data/fetch_benchmarks.py fills it, --data "
        "names another folder",
        fetched.native()));
    return std::nullopt;
}

void note_dropped(const CommandContext& context, const std::string& model,
                  const evaluation::AlpacaAnnotations& annotations) {
    if (annotations.without_preference > 0)
        context.logger.warn(fmt::format("{}: {} annotations without a preference are left out",
                                        model, annotations.without_preference));
    if (annotations.contradicted > 0)
        context.logger.warn(
            fmt::format("{}: {} preferences stand otherwise than their "
                        "log-probabilities say; they are taken as they stand",
                        model, annotations.contradicted));
}

/// AlpacaEval's annotations, by model.
class Annotations : public JudgedElsewhere {
  public:
    explicit Annotations(CLI::App& parser) {
        parser.add_option("--annotations", file_,
                          "score these alone: AlpacaEval's annotations.json, or CSV rows; .gz too");
    }
    bool is_given() const override { return !file_.empty(); }
    Json scores(const CommandContext& context, const std::filesystem::path& named,
                const std::filesystem::path& fetched) const override {
        const auto models = evaluation::read_alpaca_annotations(file_);
        const auto control = length_control(context, named, fetched);
        Json result = Json::object();
        for (const auto& [model, judged] : models) {
            note_dropped(context, model, judged);
            const evaluation::AlpacaScore score =
                evaluation::score_alpaca_eval(judged.rows, control ? &*control : nullptr);
            result[model] = {
                {"win_rate", score.plain.value},
                {"standard_error", score.plain.standard_error},
                {"length_controlled_winrate",
                 optional_number(score.length_controlled, &evaluation::Estimate::value)},
                {"lc_standard_error",
                 optional_number(score.length_controlled, &evaluation::Estimate::standard_error)},
                {"avg_length", score.average_length},
                {"n", score.n}};
            if (score.length_controlled) {
                const Interval interval =
                    evaluation::length_controlled_interval(judged.rows, *control);
                result[model]["lc_lower"] = interval.lower;
                result[model]["lc_upper"] = interval.upper;
            }
            if (judged.without_preference > 0)
                result[model]["dropped"] = {{"without_preference", judged.without_preference}};
        }
        return result;
    }

  private:
    std::string file_;
};

/// Battles between models, as Arena-Hard has them.
class Battles : public JudgedElsewhere {
  public:
    explicit Battles(CLI::App& parser) {
        parser.add_option(
            "--battles", file_,
            "score these alone: rows {question_id, model_a, model_b, winner}; .gz too");
        parser
            .add_option("--baseline", options_.baseline,
                        "baseline of the battles, whose score is 50")
            ->needs("--battles");
        parser.add_flag("--style-control", style_control_,
                        "take length and markdown out (rows with style_a and style_b)");
        parser.add_option("--rounds", options_.rounds, "rounds of the bootstrap")
            ->capture_default_str();
        parser.add_option("--seed", options_.seed, "seeds the bootstrap")->capture_default_str();
    }
    bool is_given() const override { return !file_.empty(); }
    Json scores(const CommandContext&, const std::filesystem::path&,
                const std::filesystem::path&) const override {
        const evaluation::BattleSet set = evaluation::read_battles(file_);
        evaluation::ArenaOptions options = options_;
        if (style_control_)
            options.control = evaluation::StyleControl::length_and_markdown;
        Json result = Json::object();
        for (const evaluation::ArenaScore& score : evaluation::score_arena(set, options))
            result[score.model] = {{"score", score.score},
                                   {"lower", score.interval.lower},
                                   {"upper", score.interval.upper},
                                   {"n", score.n}};
        return result;
    }

  private:
    std::string file_;
    evaluation::ArenaOptions options_;
    bool style_control_ = false;
};

}  // namespace

std::unique_ptr<JudgedElsewhere> make_judged_elsewhere(evaluation::Scoring scoring,
                                                       CLI::App& parser) {
    switch (scoring) {
        case evaluation::Scoring::length_controlled_win_rate:
            return std::make_unique<Annotations>(parser);
        case evaluation::Scoring::bradley_terry:
            return std::make_unique<Battles>(parser);
        case evaluation::Scoring::rating:
        case evaluation::Scoring::win_rate:
            break;
    }
    return nullptr;
}

}  // namespace popalign::app
