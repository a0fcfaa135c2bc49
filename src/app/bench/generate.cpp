#include "app/command/command.hpp"
#include "app/command/model_arguments.hpp"
#include "app/command/rows.hpp"

#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/engine/generator.hpp>
#include <popalign/lm/transformer/architecture.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/lm/transformer/peak_performance.hpp>
#include <popalign/store/rows/jsonl.hpp>

#include <ATen/Parallel.h>
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <memory>

namespace popalign::app {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Arguments {
    ModelArguments model;
    std::string input;
    lm::GeneratorOptions generator{{}, 128, false, 0, nullptr};
    std::int64_t max_new_tokens = 128;
    bool ignore_eos = false;
};

std::vector<lm::GenerationRequest> read_requests(const Arguments& arguments,
                                                 const lm::ModelFrontEnd& front_end) {
    std::vector<lm::GenerationRequest> requests;
    store::read_jsonl(arguments.input, [&](std::size_t line, const nlohmann::json& row) {
        PromptRow prompt =
            read_prompt_row(row, front_end, arguments.model.path, arguments.input, line);
        const RandomStream stream(0, prompt.id, "bench");
        requests.push_back({std::move(prompt.tokens), arguments.max_new_tokens, stream});
    });
    if (requests.empty())
        throw InputError(arguments.input, "no prompts in it");
    return requests;
}

nlohmann::ordered_json bench_generate(const Arguments& arguments) {
    const lm::ModelFrontEnd front_end = arguments.model.load_front_end();
    const auto requests = read_requests(arguments, front_end);
    const Clock::time_point loading = Clock::now();
    const lm::CausalLm model = arguments.model.load(comm::Communicator());
    const double load_seconds = seconds_since(loading);

    std::uint64_t answers = 0, useful_tokens = 0;
    const Clock::time_point start = Clock::now();
    const lm::GenerationStatistics statistics =
        lm::Generator(model, front_end.stop_tokens, arguments.generator)
            .generate(requests, [&](std::size_t, const lm::GeneratedTokens& result) {
                ++answers;
                useful_tokens += result.tokens.size();
            });
    const double seconds = seconds_since(start);
    const lm::PeakPerformance limits = lm::measure_peak_performance(model.dtype(), model.device());
    const double rate = static_cast<double>(useful_tokens) / seconds;
    const double bound =
        limits.gemm_flops / (2 * static_cast<double>(lm::parameter_count(model.config())));
    return {{"bench", "generate"},
            {"model", arguments.model.path},
            {"parameters", lm::parameter_count(model.config())},
            {"threads", at::get_num_threads()},
            {"batch_size", arguments.generator.batch_size},
            {"answers", answers},
            {"generated_tokens", useful_tokens},
            {"seconds", seconds},
            {"tokens_per_second", rate},
            {"load_seconds", load_seconds},
            {"prompt_tokens", statistics.prompt_tokens},
            {"computed_prompt_tokens", statistics.computed_tokens},
            {"prefill_seconds", statistics.prefill_seconds},
            {"decode_seconds", statistics.decode_seconds},
            {"sampling_seconds", statistics.sampling_seconds},
            {"limit",
             {{"gemm_flops_per_second", limits.gemm_flops},
              {"copy_bytes_per_second", limits.copy_bandwidth},
              {"tokens_per_second", bound}}},
            {"fraction_of_limit", rate / bound}};
}

}  // namespace

Command make_bench_generate_command(CLI::App& bench) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = bench.add_subcommand(
        "generate", "tokens a second, beside what matrix products allow (one process)");
    arguments->model.add_to(*parser);
    parser->add_option("--input", arguments->input, "JSONL of {id?, prompt} or {id?, messages}")
        ->required();
    parser->add_option("--max-new-tokens", arguments->max_new_tokens)->capture_default_str();
    parser->add_option("--batch-size", arguments->generator.batch_size)->capture_default_str();
    parser->add_option("--temperature", arguments->generator.sampling.temperature, "0: greedy")
        ->capture_default_str();
    parser->add_flag("--ignore-eos", arguments->ignore_eos, "answers of exactly that many tokens");
    parser->add_flag("--deterministic", arguments->generator.deterministic,
                     "the same bytes on any number of ranks");
    return {parser, [arguments](const CommandContext& context) {
                comm::run_on_all(context.comm, [&] {
                    if (context.comm.size() > 1)
                        throw UsageError(
                            "bench generate measures one process; run it without "
                            "mpirun");
                    if (arguments->ignore_eos)
                        arguments->generator.min_new_tokens = arguments->max_new_tokens;
                    fmt::print("{}\n", bench_generate(*arguments).dump(2));
                });
                return ExitStatus::done;
            }};
}

}  // namespace popalign::app
