#include "evaluation/benchmark_answers.hpp"

#include <popalign/base/file.hpp>
#include <popalign/base/range.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/judge/answer_judge.hpp>
#include <popalign/lm/judge/judge_template.hpp>
#include <popalign/lm/judge/judging.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <map>

namespace popalign::evaluation {
namespace {

const lm::ModelOptions& named(const BenchmarkInputs& inputs, const std::string& name) {
    const auto found = inputs.models.find(name);
    if (found == inputs.models.end())
        throw UsageError(fmt::format(
            "evaluate names the model '{}', which `models` does not have; add it", name));
    return found->second;
}

/// Returns whether the data hold the baseline's answers.
bool has_baseline(const Benchmark& benchmark) {
    return !benchmark.baseline_name.empty();
}

std::string template_of(const BenchmarkInputs& inputs) {
    return inputs.evaluate.judge_template.empty() ? inputs.benchmark.judge_template
                                                  : inputs.evaluate.judge_template;
}

lm::JudgeSpec judge_spec(const BenchmarkInputs& inputs, const std::string& judge_template) {
    const auto found = inputs.models.find(inputs.evaluate.judge);
    return {inputs.evaluate.judge,
            found == inputs.models.end() ? std::nullopt : std::optional(found->second),
            lm::load_judge_template(judge_template)};
}

/// Checks all inputs before any work starts.
void check(const BenchmarkInputs& inputs) {
    inputs.evaluate.validate();
    if (inputs.benchmark.items.empty())
        throw UsageError(fmt::format("{}: nothing to ask", inputs.benchmark.name));
    const lm::JudgeSpec judge = judge_spec(inputs, template_of(inputs));
    if (!judge.model)
        lm::identify_judge(judge);
    const bool rates = !compares(inputs.benchmark), asked = lm::reads_template(judge);
    if (rates && !asked)
        throw UsageError(fmt::format(
            "{}: the judge '{}' does not rate single answers from 1 to 10; name a model in "
            "evaluate.judge that does it in words",
            inputs.benchmark.name, judge.name));
    if (asked && rates != (judge.judge_template.verdict == "rating"))
        throw UsageError(
            fmt::format("{}: the judge '{}' with the template '{}' {}", inputs.benchmark.name,
                        judge.name, judge.judge_template.name,
                        rates ? "does not rate single answers" : "does not compare two answers"));
    if (!rates && !has_baseline(inputs.benchmark))
        named(inputs, inputs.evaluate.baseline);
}

/// Name of a model in results.
std::string address(const lm::ModelOptions& model) {
    return !model.path.empty()        ? model.path
           : !model.responses.empty() ? model.responses
                                      : model.endpoint.url + " " + model.endpoint.model;
}

/// Returns the name of a judge, which need not be a model.
std::string judge_address(const BenchmarkInputs& inputs) {
    const auto found = inputs.models.find(inputs.evaluate.judge);
    return found == inputs.models.end() ? inputs.evaluate.judge : address(found->second);
}

std::vector<JudgedItem> my_items(const comm::Communicator& comm, const Benchmark& benchmark) {
    const Range mine = partition(benchmark.items.size(), comm.rank(), comm.size());
    std::vector<JudgedItem> items;
    for (std::size_t i = mine.begin; i < mine.end; ++i)
        items.push_back({benchmark.items[i], i, {}, {}, {}});
    return items;
}

/// Fills in `answers` and `baselines`; false if the deadline left some. Collective.
bool answer(const lm::ModelRanks& ranks, const BenchmarkInputs& inputs,
            std::vector<JudgedItem>& items, const Deadline* deadline) {
    constexpr std::uint64_t answers_per_sync = 16;
    AnswerJournal journal(ranks.leaders(), RunDirectory(inputs.run.directory).answers(),
                          answers_per_sync, inputs.logger);
    auto answers =
        answer_items(ranks, inputs, {"the model", inputs.model}, items, journal, deadline);
    if (!answers)
        return false;
    for (std::size_t i = 0; i < items.size(); ++i)
        items[i].answers = std::move((*answers)[i]);
    if (!compares(inputs.benchmark))
        return true;
    if (has_baseline(inputs.benchmark)) {
        for (JudgedItem& item : items)
            item.baselines = {*item.item.baseline};
        return true;
    }
    const std::string& name = inputs.evaluate.baseline;
    auto baselines =
        answer_items(ranks, inputs, {name, named(inputs, name)}, items, journal, deadline);
    if (!baselines)
        return false;
    for (std::size_t i = 0; i < items.size(); ++i)
        items[i].baselines = std::move((*baselines)[i]);
    return true;
}

/// One question to the judge, with the place of its judgement in an item.
struct Asked {
    JudgeQuery query;
    std::size_t item, place;
};

/// Groups questions by template. All ranks have the same templates, so that they ask together.
std::map<std::string, std::vector<Asked>> asked_of(const BenchmarkInputs& inputs,
                                                   const std::vector<JudgedItem>& items) {
    std::map<std::string, std::vector<Asked>> asked;
    const std::string base = template_of(inputs);
    const bool rates = !compares(inputs.benchmark);
    const auto rating_template = [&](const BenchmarkItem& item, std::size_t turn) {
        return base + (item.references.empty() ? "" : "-reference") + (turn > 0 ? "-turn-2" : "");
    };
    for (const BenchmarkItem& item : inputs.benchmark.items)
        for (std::size_t turn = 0; turn < (rates ? item.turns.size() : 1); ++turn)
            asked[rates ? rating_template(item, turn) : base];
    for (std::size_t i = 0; i < items.size(); ++i) {
        const auto& [item, position, answers, baselines, judgements] = items[i];
        if (!rates) {
            const JudgeQuery query = judge_query(instruction_of(item), answers[0], baselines[0]);
            asked[base].push_back({query, i, 0});
            asked[base].push_back({swapped(query), i, 1});
            continue;
        }
        for (std::size_t turn = 0; turn < item.turns.size(); ++turn) {
            JudgeQuery query = judge_query(instruction_of(item), answers[0], "");
            if (!item.references.empty())
                query.reference = item.references[0];
            if (turn > 0) {
                query.instruction_2 = item.turns[turn];
                query.first_2 = answers[turn];
                if (!item.references.empty())
                    query.reference_2 = item.references[turn];
            }
            asked[rating_template(item, turn)].push_back({query, i, turn});
        }
    }
    return asked;
}

/// Fills in the judgements; false if the deadline left some. Collective.
bool judge(const lm::ModelRanks& ranks, const BenchmarkInputs& inputs,
           std::vector<JudgedItem>& items, const Deadline* deadline) {
    const comm::Communicator& comm = ranks.leaders();
    for (JudgedItem& item : items)
        item.judgements.resize(compares(inputs.benchmark) ? 2 : item.item.turns.size());
    lm::JudgeKey key = lm::judge_key(
        comm, comm::run_on_all(comm, [&] { return judge_spec(inputs, template_of(inputs)); }));
    bool complete = true;
    for (const auto& [name, asked] : asked_of(inputs, items)) {
        const lm::JudgeSpec spec = comm::run_on_all(comm, [&] { return judge_spec(inputs, name); });
        std::vector<JudgeQuery> queries;
        for (const Asked& one : asked)
            queries.push_back(one.query);
        if (!key.template_sha256.empty())
            key.template_sha256 = lm::judge_template_sha256(spec.judge_template);
        const auto judgements = lm::judge_queries(spec, key, queries,
                                                  {{inputs.evaluate.batch_tokens, inputs.run.device,
                                                    ranks, inputs.logger, inputs.run.seed},
                                                   RunDirectory(inputs.run.directory).verdicts(),
                                                   deadline});
        for (std::size_t i = 0; i < asked.size(); ++i) {
            complete &= judgements[i].has_value();
            if (judgements[i])
                items[asked[i].item].judgements[asked[i].place] = *judgements[i];
        }
    }
    return comm::all_reduce<std::uint64_t>(comm, complete ? 0 : 1, comm::Reduction::sum) == 0;
}

void write_result(const BenchmarkInputs& inputs, const std::vector<JudgedItem>& items) {
    const Scoring scoring = inputs.benchmark.scoring;
    const auto& control = inputs.benchmark.length_control;
    const bool has_rival = compares(inputs.benchmark);
    const std::string baseline = !has_rival ? ""
                                 : has_baseline(inputs.benchmark)
                                     ? inputs.benchmark.baseline_name
                                     : address(named(inputs, inputs.evaluate.baseline));
    nlohmann::ordered_json json = score_items(
        scoring, items,
        {address(inputs.model), baseline, control ? &*control : nullptr, inputs.run.seed});
    json["left_out"] = inputs.benchmark.left_out;
    json["benchmark"] = inputs.benchmark.name;
    json["model"] = address(inputs.model);
    if (has_rival)
        json["baseline"] = baseline;
    json["judge"] = judge_address(inputs);
    json["template"] =
        lm::reads_template(judge_spec(inputs, template_of(inputs))) ? template_of(inputs) : "";
    json["provenance"] = nlohmann::json::parse(inputs.provenance);
    std::string rows;
    for (const JudgedItem& item : items)
        rows +=
            item_row(scoring, item).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
            "\n";
    std::filesystem::create_directories(inputs.output.parent_path());
    auto items_path = inputs.output;
    write_text_file(items_path.replace_extension(".jsonl"), rows);
    write_text_file(inputs.output, json.dump(2) + "\n");
    inputs.logger.info(fmt::format("{}: {}", inputs.benchmark.name, inputs.output.native()));
}

}  // namespace

Benchmark held_out_benchmark(const std::filesystem::path& pairs) {
    const store::PairFile file(pairs);
    Benchmark benchmark{
        .name = "win-rate", .scoring = Scoring::win_rate, .judge_template = "contrast"};
    for (const Instruction& instruction : file.instructions({0, file.instruction_count()}))
        if (instruction.split == Split::held_out)
            benchmark.items.push_back({.id = instruction.id,
                                       .category = instruction.source,
                                       .context = instruction.context,
                                       .turns = {instruction.text}});
    if (benchmark.items.empty())
        throw UsageError(pairs.native() +
                         ": no held-out instructions in it; set instructions.held_out");
    return benchmark;
}

ExitStatus run_benchmark(const lm::ModelRanks& ranks, const BenchmarkInputs& inputs,
                         const Deadline* deadline) {
    const comm::Communicator& comm = ranks.leaders();
    comm::run_on_all(comm, [&] { check(inputs); });
    if (inputs.benchmark.scoring == Scoring::length_controlled_win_rate &&
        !inputs.benchmark.length_control)
        inputs.logger.warn(
            "no difficulties and gamed rows beside the data: no length-controlled "
            "win rate; data/fetch_benchmarks.py fetches them");
    std::vector<JudgedItem> items = my_items(comm, inputs.benchmark);
    if (!answer(ranks, inputs, items, deadline) || !judge(ranks, inputs, items, deadline)) {
        inputs.logger.warn("stopped at the deadline; run it again for the rest");
        return ExitStatus::requeue;
    }
    std::vector<JudgedItem> all;
    for (auto& part : comm::all_gather_objects(comm, items))
        all.insert(all.end(), part.begin(), part.end());
    comm::run_on_all(comm, [&] {
        if (comm.is_root())
            write_result(inputs, all);
    });
    return ExitStatus::done;
}

}  // namespace popalign::evaluation
