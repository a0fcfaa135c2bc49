#include "app/evaluate/evaluate_arguments.hpp"
#include "app/evaluate/evaluate_commands.hpp"
#include "app/evaluate/scores_command.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/provenance.hpp>
#include <popalign/evaluation/benchmark.hpp>
#include <popalign/evaluation/judge_validation_stage.hpp>
#include <popalign/lm/judge/answer_judge.hpp>
#include <popalign/lm/judge/judge_template.hpp>

#include <CLI/CLI.hpp>

#include <memory>

namespace popalign::app {
namespace {

struct JudgeWorthArguments : EvaluateArguments {
    std::string pairs, format, verdicts;
};

nlohmann::ordered_json judge_worth(
    const std::vector<evaluation::LabelledPair>& pairs,
    const std::optional<std::vector<evaluation::OrderedChoices>>& verdicts) {
    nlohmann::ordered_json result = nlohmann::ordered_json::object();
    if (verdicts)
        result = to_json(evaluation::worth_of(pairs, *verdicts, 0));
    if (const evaluation::PeopleAgreement people = evaluation::agreement_of_people(pairs);
        people.people > 1)
        result["annotators"] = to_json(people);
    return result;
}

/// From stored verdicts, or of people alone.
nlohmann::ordered_json stored_judge_worth(const JudgeWorthArguments& arguments) {
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
        const auto output = arguments.output_path(config, "judge.json");
        auto rows = output;
        rows.replace_extension(".jsonl");
        return ranks.run([&] {
            const auto verdicts = evaluation::judge_labelled_pairs(
                spec, pairs,
                {{config.judge.batch_tokens, config.run.device, ranks, context.logger,
                  config.run.seed},
                 std::filesystem::path(config.run.directory) / "verdicts",
                 &deadline},
                rows);
            if (!verdicts) {
                context.logger.warn("stopped at the deadline; run it again for the rest");
                return ExitStatus::requeue;
            }
            return print_from_root(ranks.leaders(), output.native(), [&] {
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

Command make_evaluate_alpaca_eval_command(CLI::App& evaluate) {
    struct Arguments : EvaluateArguments {
        std::string annotations;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = evaluate.add_subcommand(
        "alpaca-eval", "plain and length-controlled win rates, of a model or of annotations");
    arguments->add_to(*parser);
    arguments->add_data_to(*parser);
    parser->add_option("--annotations", arguments->annotations,
                       "score these alone: AlpacaEval's annotations.json, or CSV rows; .gz too");
    return {
        parser, [arguments](const CommandContext& context) {
            if (!arguments->annotations.empty())
                return print_from_root(context.comm, arguments->output, [&] {
                    return alpaca_scores(context, arguments->annotations, arguments->data);
                });
            return evaluate_benchmark(context, *arguments, [&] {
                return evaluation::load_alpaca_eval(benchmark_data(arguments->data, "alpaca_eval"));
            });
        }};
}

Command make_evaluate_arena_hard_command(CLI::App& evaluate) {
    struct Arguments : EvaluateArguments {
        ArenaArguments arena;
        std::string version = "v0.1";
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = evaluate.add_subcommand(
        "arena-hard", "Bradley-Terry scores with bootstrap intervals, of a model or of battles");
    arguments->add_to(*parser);
    arguments->add_data_to(*parser);
    ArenaArguments& arena = arguments->arena;
    parser->add_option("--version", arguments->version, "v0.1 or v2.0")->capture_default_str();
    parser->add_option("--battles", arena.battles,
                       "score these alone: rows {question_id, model_a, model_b, winner}; .gz too");
    parser->add_option("--baseline", arena.baseline, "of the battles: it has a score of 50")
        ->needs("--battles");
    parser->add_flag("--style-control", arena.style_control,
                     "take length and markdown out (rows with style_a and style_b)");
    parser->add_option("--rounds", arena.rounds, "of the bootstrap")->capture_default_str();
    parser->add_option("--seed", arena.seed, "of the bootstrap")->capture_default_str();
    return {parser, [arguments](const CommandContext& context) {
                if (!arguments->arena.battles.empty())
                    return print_from_root(context.comm, arguments->output,
                                           [&] { return arena_scores(arguments->arena); });
                return evaluate_benchmark(context, *arguments, [&] {
                    return evaluation::load_arena_hard(
                        benchmark_data(arguments->data, "arena_hard"), arguments->version);
                });
            }};
}

Command make_evaluate_judge_command(CLI::App& evaluate) {
    auto arguments = std::make_shared<JudgeWorthArguments>();
    CLI::App* parser = evaluate.add_subcommand(
        "judge", "what a judge is worth: accuracy and agreement beside people's labels");
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
                return print_from_root(context.comm, arguments->output,
                                       [&] { return stored_judge_worth(*arguments); });
            }};
}

}  // namespace popalign::app
