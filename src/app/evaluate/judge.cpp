#include "app/command/with_config.hpp"
#include "app/evaluate/arguments.hpp"
#include "app/evaluate/print_result.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/provenance.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/evaluation/judge_validation.hpp>
#include <popalign/evaluation/judge_validation_stage.hpp>
#include <popalign/lm/judge/answer_judge.hpp>
#include <popalign/lm/judge/judge_template.hpp>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

namespace popalign::app {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const evaluation::JudgeWorth& worth) {
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

Json to_json(const evaluation::PeopleAgreement& people) {
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

struct JudgeWorthArguments : EvaluateArguments {
    std::string pairs, format, verdicts;
};

Json judge_worth(const std::vector<evaluation::LabelledPair>& pairs,
                 const std::optional<std::vector<evaluation::OrderedChoices>>& verdicts) {
    Json result = Json::object();
    if (verdicts)
        result = to_json(evaluation::worth_of(pairs, *verdicts, 0));
    if (const evaluation::PeopleAgreement people = evaluation::agreement_of_people(pairs);
        people.people > 1)
        result["annotators"] = to_json(people);
    return result;
}

/// Evaluates stored verdicts, or only people's labels.
Json stored_judge_worth(const JudgeWorthArguments& arguments) {
    const auto pairs = evaluation::read_labelled_pairs(arguments.pairs, arguments.format);
    if (!arguments.verdicts.empty())
        return judge_worth(pairs, evaluation::read_verdicts(arguments.verdicts, pairs.size()));
    if (arguments.format == "llmbar")
        throw UsageError("evaluate judge: give --verdicts, or --config to ask the run's judge");
    return judge_worth(pairs, std::nullopt);
}

/// Asks the run's judge. Collective.
ExitStatus ask_judge(const CommandContext& context, const JudgeWorthArguments& arguments) {
    return with_config(context, arguments.config, [&](const Config& config) {
        const auto [pairs, spec] = comm::run_on_all(context.comm, [&] {
            auto labelled = evaluation::read_labelled_pairs(arguments.pairs, arguments.format);
            if (config.judge.limit > 0 &&
                labelled.size() > static_cast<std::size_t>(config.judge.limit))
                labelled.resize(static_cast<std::size_t>(config.judge.limit));
            const auto found = config.models.find(config.judge.model);
            lm::JudgeSpec judge{
                config.judge.model,
                found == config.models.end() ? std::nullopt : std::optional(found->second),
                lm::load_judge_template(config.judge.template_name)};
            return std::pair(std::move(labelled), std::move(judge));
        });
        const Deadline deadline = make_deadline(config.run);
        const lm::ModelRanks ranks(context.comm, config.run.tensor_parallel);
        const auto output = arguments.output_path(config, "judge");
        auto rows = output;
        rows.replace_extension(".jsonl");
        return ranks.run([&] {
            const auto verdicts =
                evaluation::judge_labelled_pairs(spec, pairs,
                                                 {{config.judge.batch_tokens, config.run.device,
                                                   ranks, context.logger, config.run.seed},
                                                  RunDirectory(config.run.directory).verdicts(),
                                                  &deadline},
                                                 rows);
            if (!verdicts) {
                context.logger.warn("stopped at the deadline; run it again for the rest");
                return ExitStatus::requeue;
            }
            return print_result(ranks.leaders(), output.native(), [&] {
                auto result = judge_worth(pairs, verdicts);
                result["judge"] = spec.name;
                result["template"] = lm::reads_template(spec) ? spec.judge_template.name : "";
                result["pairs"] = arguments.pairs;
                result["provenance"] = nlohmann::json::parse(
                    provenance_json(context.comm.size(), context.command_line));
                return result;
            });
        });
    });
}

}  // namespace

Command make_evaluate_judge_command(CLI::App& evaluate) {
    auto arguments = std::make_shared<JudgeWorthArguments>();
    CLI::App* parser = evaluate.add_subcommand(
        "judge",
        "measures how far a judge agrees with people: accuracy and agreement with their labels");
    arguments->config.add_to(*parser);
    parser->add_option("--pairs", arguments->pairs, "the labelled pairs")->required();
    parser->add_option("--format", arguments->format, "llmbar or pandalm")->required();
    parser->add_option("--verdicts", arguments->verdicts,
                       "score these alone: LLMBar's result.json, or rows {index, order, winner}");
    parser->add_option("--output", arguments->output,
                       "JSON file; default: stdout for stored verdicts, else in "
                       "<run.directory>/evaluate");
    return {parser, [arguments](const CommandContext& context) {
                const bool asks = arguments->verdicts.empty() && !arguments->config.file.empty();
                if (asks || arguments->config.print)
                    return ask_judge(context, *arguments);
                return print_result(context.comm, arguments->output,
                                    [&] { return stored_judge_worth(*arguments); });
            }};
}

}  // namespace popalign::app
