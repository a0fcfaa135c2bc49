#include "app/command/command.hpp"
#include "app/command/model_arguments.hpp"
#include "app/command/rows.hpp"

#include <popalign/base/progress.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/engine/generator.hpp>
#include <popalign/lm/text/stop_strings.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/record/token.hpp>
#include <popalign/store/rows/jsonl.hpp>

#include <ATen/Parallel.h>
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>

namespace popalign::app {
namespace {

struct Arguments {
    ModelArguments model;
    std::string input, output;
    lm::GeneratorOptions generator;
    std::int64_t max_new_tokens = 256;
    std::uint64_t seed = 0;
    std::vector<std::string> stop;
};

/// This rank's share of the prompts. All are read, so that a wrong line is found on any number of
/// ranks.
std::vector<PromptRow> read_rows(const Arguments& arguments, const lm::ModelFrontEnd& front_end,
                                 const RankGroups& groups) {
    std::vector<PromptRow> rows;
    store::read_jsonl(arguments.input, [&](std::size_t line, const nlohmann::json& row) {
        rows.push_back(
            read_prompt_row(row, front_end, arguments.model.path, arguments.input, line));
    });
    const Range mine = groups.share(rows.size());
    return {rows.begin() + static_cast<std::ptrdiff_t>(mine.begin),
            rows.begin() + static_cast<std::ptrdiff_t>(mine.end)};
}

std::string generate(const Arguments& arguments, const lm::ModelFrontEnd& front_end,
                     const lm::CausalLm& model, const std::vector<PromptRow>& rows,
                     const CommandContext& context) {
    std::vector<lm::GenerationRequest> requests;
    for (const PromptRow& row : rows)
        requests.push_back({row.tokens, arguments.max_new_tokens,
                            RandomStream(arguments.seed, row.id, "generate")});
    std::vector<std::string> lines(rows.size());
    Progress progress(context.logger, "generate", "answers", rows.size());
    const lm::StopStrings stop(front_end.tokenizer, arguments.stop);
    lm::GeneratorOptions options = arguments.generator;
    if (!stop.empty())
        options.ends = [&](std::span<const TokenId> answer) { return stop.ended(answer); };
    const lm::GenerationStatistics statistics =
        lm::Generator(model, front_end.stop_tokens, options)
            .generate(requests, [&](std::size_t i, const lm::GeneratedTokens& result) {
                const nlohmann::ordered_json line{
                    {"id", rows[i].id},
                    {"prompt", rows[i].text},
                    {"text", stop.cut(front_end.tokenizer.decode(result.tokens))},
                    {"tokens", result.tokens},
                    {"logprob", result.logprob},
                    {"finish_reason",
                     result.finish_reason == FinishReason::stop ? "stop" : "length"}};
                lines[i] =
                    line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
                progress.advance();
            });
    context.logger.info(fmt::format(
        "generate: {} prompt tokens ({} computed, the others shared) in {:.1f} s; {} tokens "
        "generated in {:.1f} s and {:.1f} s of drawing",
        statistics.prompt_tokens, statistics.computed_tokens, statistics.prefill_seconds,
        statistics.generated_tokens, statistics.decode_seconds, statistics.sampling_seconds));
    std::string text;
    for (const std::string& line : lines)
        text += line;
    return text;
}

}  // namespace

Command make_generate_command(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = app.add_subcommand("generate", "answers to a file of prompts");
    arguments->model.add_to(*parser);
    arguments->model.add_tensor_parallel_to(*parser);
    parser->add_option("--input", arguments->input, "JSONL of {id?, prompt} or {id?, messages}")
        ->required();
    parser->add_option("--output", arguments->output, "JSONL")->required();
    parser->add_option("--max-new-tokens", arguments->max_new_tokens)->capture_default_str();
    auto& generator = arguments->generator;
    parser->add_option("--temperature", generator.sampling.temperature, "0: greedy")
        ->capture_default_str();
    parser->add_option("--top-p", generator.sampling.top_p)->capture_default_str();
    parser->add_option("--top-k", generator.sampling.top_k, "0: all")->capture_default_str();
    parser->add_option("--seed", arguments->seed)->capture_default_str();
    parser->add_option("--stop", arguments->stop, "a text that ends an answer; can be repeated");
    parser->add_option("--batch-size", generator.batch_size)->capture_default_str();
    parser->add_flag("--deterministic", generator.deterministic,
                     "the same bytes on any number of ranks");
    return {parser, [arguments](const CommandContext& context) {
                const RankGroups groups = arguments->model.groups(context.comm);
                std::vector<PromptRow> rows;
                const lm::ModelFrontEnd front_end = comm::run_on_all(context.comm, [&] {
                    arguments->generator.sampling.validate();
                    if (arguments->max_new_tokens < 1)
                        throw UsageError("--max-new-tokens must be at least 1");
                    if (arguments->generator.deterministic)
                        at::set_num_threads(1);
                    lm::ModelFrontEnd loaded = arguments->model.load_front_end();
                    rows = read_rows(*arguments, loaded, groups);
                    return loaded;
                });
                const lm::CausalLm model = arguments->model.load(context.comm, groups);
                const std::string text = comm::run_on_all(context.comm, [&] {
                    return generate(*arguments, front_end, model, rows, context);
                });
                write_in_rank_order(context.comm, arguments->output, groups.leads() ? text : "");
                return ExitStatus::done;
            }};
}

}  // namespace popalign::app
