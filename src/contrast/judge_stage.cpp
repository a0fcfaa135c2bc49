#include "contrast/accuracy_json.hpp"

#include <popalign/base/file.hpp>
#include <popalign/base/range.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/contrast/judge_stage.hpp>
#include <popalign/lm/judge/answer_judge.hpp>
#include <popalign/lm/judge/judge_template.hpp>
#include <popalign/lm/judge/judging.hpp>
#include <popalign/store/pairs/pair_update.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace popalign::contrast {
namespace {

lm::JudgeSpec judge_spec(const JudgeInputs& inputs) {
    const auto found = inputs.models.find(inputs.judge.model);
    return {inputs.judge.model,
            found == inputs.models.end() ? std::nullopt : std::optional(found->second),
            lm::load_judge_template(inputs.judge.template_name)};
}

/// Collective; one rank hashes the model.
store::JudgeRow judge_row(const comm::Communicator& comm, const lm::JudgeSpec& judge) {
    const lm::JudgeKey key = lm::judge_key(comm, judge);
    return {judge.name, key.model_sha256,
            key.template_sha256.empty() ? "" : judge.judge_template.name, key.template_sha256};
}

bool wanted(const std::string& split, const Instruction& instruction) {
    return split == "all" || (split == "train") == (instruction.split == Split::train);
}

/// Returns the pairs to judge: those of the split, and only the first of each strategy if limited.
std::vector<bool> selected(const store::PairFile& file, const std::vector<PreferencePair>& pairs,
                           const JudgeOptions& options) {
    const auto instructions = file.instructions({0, file.instruction_count()});
    std::vector<std::int64_t> taken(file.header().strategies.size(), 0);
    std::vector<bool> result;
    for (const PreferencePair& pair : pairs) {
        const bool fits = wanted(options.split, instructions[pair.instruction]);
        const bool room = options.limit == 0 || taken[pair.strategy] < options.limit;
        result.push_back(fits && room);
        taken[pair.strategy] += fits && room ? 1 : 0;
    }
    return result;
}

/// Returns this rank's share of the pairs without verdicts in the file.
std::vector<std::uint64_t> my_pairs(const comm::Communicator& comm, const store::PairFile& file,
                                    const std::vector<PreferencePair>& pairs,
                                    const JudgeOptions& options,
                                    std::optional<std::uint32_t> judge) {
    auto open = selected(file, pairs, options);
    if (judge)
        for (const Verdict& verdict : file.verdicts())
            if (verdict.judge == *judge)
                open[verdict.pair] = false;
    const Range mine = partition(pairs.size(), comm.rank(), comm.size());
    std::vector<std::uint64_t> rows;
    for (std::size_t row = mine.begin; row < mine.end; ++row)
        if (open[row])
            rows.push_back(row);
    return rows;
}

/// Returns each pair in both orders: the chosen answer first, then last.
std::vector<JudgeQuery> queries_of(const store::PairFile& file,
                                   const std::vector<PreferencePair>& pairs,
                                   std::span<const std::uint64_t> rows) {
    std::vector<JudgeQuery> queries;
    for (const std::uint64_t row : rows) {
        const PreferencePair& pair = pairs[row];
        const std::uint64_t answers[] = {pair.chosen, pair.rejected};
        const auto responses = file.responses(answers);
        const auto instruction = file.instructions({pair.instruction, pair.instruction + 1});
        JudgeQuery query = judge_query(instruction.front(), responses[0].text, responses[1].text);
        query.first_cut = responses[0].finish_reason == FinishReason::length;
        query.second_cut = responses[1].finish_reason == FinishReason::length;
        queries.push_back(query);
        queries.push_back(swapped(std::move(query)));
    }
    return queries;
}

/// Returns the pairs with verdicts in both orders.
std::vector<Verdict> verdicts_of(std::span<const std::uint64_t> rows,
                                 std::span<const std::optional<Judgement>> judgements,
                                 std::uint32_t judge) {
    std::vector<Verdict> verdicts;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!judgements[2 * i] || !judgements[2 * i + 1])
            continue;
        for (const auto order : {AnswerOrder::chosen_first, AnswerOrder::rejected_first}) {
            const auto& judgement = judgements[2 * i + static_cast<std::size_t>(order)];
            Verdict& verdict = verdicts.emplace_back(verdict_of(*judgement, order));
            verdict.pair = rows[i];
            verdict.judge = judge;
        }
    }
    return verdicts;
}

void write_table(const JudgeInputs& inputs, const store::JudgeRow& judge,
                 const lm::JudgingReport& report) {
    const store::PairFile file(inputs.pairs);
    const auto judges = file.judges();
    const auto index = static_cast<std::size_t>(std::ranges::find(judges, judge) - judges.begin());
    const auto accuracy = contrast_accuracy(file.header().strategies, judges, pair_facts(file),
                                            file.verdicts(), inputs.run.seed);
    nlohmann::ordered_json json = to_json(accuracy, index);
    json["pairs"] = inputs.pairs.native();
    json["split"] = inputs.judge.split;
    json["usage"] = {{"judgements", report.judged},
                     {"known", report.known},
                     {"seconds", report.seconds},
                     {"prompt_tokens", report.usage.prompt_tokens},
                     {"answer_tokens", report.usage.answer_tokens},
                     {"cost", report.usage.cost}};
    json["provenance"] = nlohmann::json::parse(inputs.provenance);
    write_text_file(inputs.output, json.dump(2) + "\n");
    inputs.logger.info(fmt::format("contrast accuracy by {} (both orders):\n{}", judge.name,
                                   format_contrast_accuracy(accuracy.judges[index])));
}

}  // namespace

void JudgeOptions::validate() const {
    if (split != "all" && split != "train" && split != "held_out")
        throw UsageError(fmt::format("judge.split '{}' is not all, train or held_out", split));
    if (batch_tokens < 1 || limit < 0)
        throw UsageError("judge: batch_tokens must be at least 1 and limit at least 0");
}

ExitStatus run_judge(const lm::ModelRanks& ranks, const JudgeInputs& inputs,
                     const Deadline& deadline) {
    const comm::Communicator& comm = ranks.leaders();
    const lm::JudgeSpec judge = comm::run_on_all(comm, [&] {
        inputs.judge.validate();
        const lm::JudgeSpec spec = judge_spec(inputs);
        if (lm::reads_template(spec) && spec.judge_template.verdict == "rating")
            throw UsageError(
                fmt::format("judge.template '{}' rates single answers; pairs want one "
                            "that compares two",
                            spec.judge_template.name));
        return spec;
    });
    const store::JudgeRow row = judge_row(comm, judge);
    auto file = comm::run_on_all(comm, [&] { return store::PairFile(inputs.pairs); });
    std::vector<store::JudgeRow> judges = file.judges();
    const auto known = std::ranges::find(judges, row);
    const auto number = static_cast<std::uint32_t>(known - judges.begin());
    const bool judged = known != judges.end();
    const auto pairs = comm::run_on_all(comm, [&] { return file.pairs({0, file.pair_count()}); });
    const auto rows = comm::run_on_all(comm, [&] {
        return my_pairs(comm, file, pairs, inputs.judge,
                        judged ? std::optional(number) : std::nullopt);
    });
    const auto left = comm::all_reduce<std::uint64_t>(comm, rows.size(), comm::Reduction::sum);
    lm::JudgingReport report;
    if (left > 0) {
        const auto queries = comm::run_on_all(comm, [&] { return queries_of(file, pairs, rows); });
        const auto judgements = lm::judge_queries(
            judge, {row.model, row.template_sha256}, queries,
            {{inputs.judge.batch_tokens, inputs.run.device, ranks, inputs.logger, inputs.run.seed},
             RunDirectory(inputs.run.directory).verdicts(),
             &deadline},
            &report);
        auto verdicts = verdicts_of(rows, judgements, number);
        if (!judged)
            judges.push_back(row);
        const auto written =
            comm::all_reduce<std::uint64_t>(comm, verdicts.size(), comm::Reduction::sum);
        if (comm.is_root()) {  // the file's verdicts are replaced, so add earlier ones
            const auto earlier = file.verdicts();
            verdicts.insert(verdicts.end(), earlier.begin(), earlier.end());
        }
        store::write_verdicts(comm, inputs.pairs, judges, verdicts);
        if (written < 2 * left) {
            inputs.logger.warn("stopped at the deadline; run it again for the rest");
            return ExitStatus::requeue;
        }
    }
    comm::run_on_all(comm, [&] {
        if (comm.is_root())
            write_table(inputs, row, report);
    });
    return ExitStatus::done;
}

}  // namespace popalign::contrast
