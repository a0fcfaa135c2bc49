#include "app/evaluate/scores_command.hpp"

#include <popalign/base/file.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/evaluation/alpaca_annotations.hpp>
#include <popalign/evaluation/alpaca_eval.hpp>
#include <popalign/evaluation/bradley_terry.hpp>
#include <popalign/evaluation/judge_validation.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>

namespace popalign::app {
namespace {

using Json = nlohmann::ordered_json;

Json optional_number(const std::optional<evaluation::Estimate>& estimate,
                     double evaluation::Estimate::*member) {
    return estimate ? Json((*estimate).*member) : Json(nullptr);
}

/// Length control's data; nothing, with a warning, where nobody asked for a folder and there is
/// none.
std::optional<evaluation::LengthControlData> length_control(const CommandContext& context,
                                                            const std::string& data) {
    if (!data.empty())
        return evaluation::load_length_control(data);
    const std::filesystem::path fetched = std::filesystem::path(benchmark_folder) / "alpaca_eval";
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

}  // namespace

nlohmann::ordered_json alpaca_scores(const CommandContext& context, const std::string& annotations,
                                     const std::string& data) {
    const auto models = evaluation::read_alpaca_annotations(annotations);
    const auto control = length_control(context, data);
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
            const Interval interval = evaluation::length_controlled_interval(judged.rows, *control);
            result[model]["lc_lower"] = interval.lower;
            result[model]["lc_upper"] = interval.upper;
        }
        if (judged.without_preference > 0)
            result[model]["dropped"] = {{"without_preference", judged.without_preference}};
    }
    return result;
}

nlohmann::ordered_json arena_scores(const ArenaArguments& arguments) {
    const evaluation::BattleSet set = evaluation::read_battles(arguments.battles);
    evaluation::ArenaOptions options;
    options.baseline = arguments.baseline;
    options.seed = arguments.seed;
    options.rounds = arguments.rounds;
    if (arguments.style_control)
        options.control = evaluation::StyleControl::length_and_markdown;
    Json result = Json::object();
    for (const evaluation::ArenaScore& score : evaluation::score_arena(set, options))
        result[score.model] = {{"score", score.score},
                               {"lower", score.interval.lower},
                               {"upper", score.interval.upper},
                               {"n", score.n}};
    return result;
}

nlohmann::ordered_json to_json(const evaluation::JudgeWorth& worth) {
    return {
        {"accuracy", worth.accuracy},
        {"lower", worth.interval.lower},
        {"upper", worth.interval.upper},
        {"interval", "percentile bootstrap over pairs, 95 %"},
        {"agreement", worth.agreement},
        {"kappa", worth.kappa},
        {"order_kappa", worth.order_kappa},
        {"accuracy_by_order", worth.accuracy_by_order},
        {"n", worth.n},
        {"n_valid", worth.n_valid},
        {"dropped", {{"unparsed", worth.unparsed}, {"without_majority", worth.without_majority}}}};
}

nlohmann::ordered_json to_json(const evaluation::PeopleAgreement& people) {
    return {{"people", people.people},
            {"agreement", people.agreement},
            {"kappa", people.kappa},
            {"n", people.n},
            {"unanimous", people.unanimous},
            {"with_majority", people.with_majority},
            {"majority",
             {{"tie", people.majority[0]},
              {"first", people.majority[1]},
              {"second", people.majority[2]}}}};
}

ExitStatus print_from_root(const comm::Communicator& comm, const std::string& output,
                           const std::function<nlohmann::ordered_json()>& make) {
    comm::run_on_all(comm, [&] {
        if (!comm.is_root())
            return;
        const std::string text =
            make().dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
        if (output.empty()) {
            std::fputs(text.c_str(), stdout);
            return;
        }
        const std::filesystem::path path(output);
        if (path.has_parent_path())
            std::filesystem::create_directories(path.parent_path());
        write_text_file(path, text);
    });
    return ExitStatus::done;
}

}  // namespace popalign::app
