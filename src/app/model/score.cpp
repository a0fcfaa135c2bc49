#include "app/command/command.hpp"
#include "app/command/model_arguments.hpp"
#include "app/command/rows.hpp"

#include <popalign/base/progress.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/engine/scorer.hpp>
#include <popalign/store/rows/jsonl.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <numeric>

namespace popalign::app {
namespace {

struct Arguments {
    ModelArguments model;
    std::string input, output;
    bool append_eos = false;
    std::int64_t batch_tokens = 2048;
};

struct Rows {
    std::vector<std::string> ids;
    std::vector<lm::ScoreRequest> requests;
};

Rows read_rows(const Arguments& arguments, const lm::ModelFrontEnd& front_end,
               const RankGroups& groups) {
    Rows all;
    store::read_jsonl(arguments.input, [&](std::size_t line, const nlohmann::json& row) {
        PromptRow prompt =
            read_prompt_row(row, front_end, arguments.model.path, arguments.input, line);
        auto completion = front_end.tokenizer.encode(row.at("completion").get<std::string>());
        if (arguments.append_eos) {
            if (front_end.stop_tokens.empty())
                throw UsageError("--append-eos: the model names no EOS token");
            completion.push_back(front_end.stop_tokens.front());
        }
        all.ids.push_back(std::move(prompt.id));
        all.requests.push_back({std::move(prompt.tokens), std::move(completion)});
    });
    const Range mine = groups.share(all.ids.size());
    const auto begin = static_cast<std::ptrdiff_t>(mine.begin);
    const auto end = static_cast<std::ptrdiff_t>(mine.end);
    return {{all.ids.begin() + begin, all.ids.begin() + end},
            {all.requests.begin() + begin, all.requests.begin() + end}};
}

std::string score_rows(const Arguments& arguments, const lm::CausalLm& model, const Rows& rows,
                       const CommandContext& context) {
    std::vector<std::string> lines(rows.ids.size());
    Progress progress(context.logger, "score", "rows", rows.ids.size());
    lm::score(model, rows.requests, arguments.batch_tokens,
              [&](std::size_t i, const std::vector<float>& logprobs) {
                  const nlohmann::ordered_json line{
                      {"id", rows.ids[i]},
                      {"logprob", std::accumulate(logprobs.begin(), logprobs.end(), 0.0)},
                      {"num_tokens", logprobs.size()},
                      {"token_logprobs", logprobs}};
                  lines[i] = line.dump() + "\n";
                  progress.advance();
              });
    std::string text;
    for (const std::string& line : lines)
        text += line;
    return text;
}

}  // namespace

Command make_score_command(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = app.add_subcommand("score", "log-probabilities of given completions");
    arguments->model.add_to(*parser);
    arguments->model.add_tensor_parallel_to(*parser);
    parser
        ->add_option("--input", arguments->input,
                     "JSONL of {prompt, completion} or {messages, completion}")
        ->required();
    parser->add_option("--output", arguments->output, "JSONL")->required();
    parser->add_flag("--append-eos", arguments->append_eos, "score the end of the answer too");
    parser->add_option("--batch-tokens", arguments->batch_tokens, "tokens of one forward pass")
        ->capture_default_str();
    return {parser, [arguments](const CommandContext& context) {
                const RankGroups groups = arguments->model.groups(context.comm);
                const Rows rows = comm::run_on_all(context.comm, [&] {
                    return read_rows(*arguments, arguments->model.load_front_end(), groups);
                });
                const lm::CausalLm model = arguments->model.load(context.comm, groups);
                const std::string text = comm::run_on_all(
                    context.comm, [&] { return score_rows(*arguments, model, rows, context); });
                write_in_rank_order(context.comm, arguments->output, groups.leads() ? text : "");
                return ExitStatus::done;
            }};
}

}  // namespace popalign::app
