#include <popalign/base/file.hpp>
#include <popalign/base/progress.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/contrast/judge_stage.hpp>
#include <popalign/lm/answer_judge.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

namespace popalign {
namespace {

constexpr std::size_t pairs_between_checks = 64;

struct Judge {
    ModelOptions options;
    JudgeTemplate judge_template;
    JudgeRow row;
};

/// Collective: one rank hashes the model.
Judge load_judge(const Communicator& comm, const JudgeInputs& inputs) {
    Judge judge = run_on_all(comm, [&] {
        inputs.judge.validate();
        const std::string& name = inputs.judge.model;
        const auto found = inputs.models.find(name);
        if (found == inputs.models.end())
            throw UsageError(
                fmt::format("judge.model '{}' is not among `models`; add it there", name));
        Judge made{found->second, load_judge_template(inputs.judge.template_name), {}};
        made.row = {name, "", made.judge_template.name, judge_template_sha256(made.judge_template)};
        if (comm.is_root())
            made.row.model = identify_judge(name, found->second).sha256;
        return made;
    });
    judge.row.model = broadcast_object(comm, judge.row.model);
    return judge;
}

bool wanted(const std::string& split, const Instruction& instruction) {
    return split == "all" || (split == "train") == (instruction.split == Split::train);
}

/// Pairs of this rank that are judged; an instruction's pairs stay together, as they share a
/// prefix.
std::vector<std::uint64_t> my_pairs(const Communicator& comm, const PairFile& file,
                                    const std::vector<PreferencePair>& pairs,
                                    const std::string& split) {
    const Range mine = partition(file.instruction_count(), comm.rank(), comm.size());
    const std::vector<Instruction> instructions = file.instructions(mine);
    std::vector<std::uint64_t> rows;
    for (std::uint64_t row = 0; row < pairs.size(); ++row) {
        const auto at = static_cast<std::size_t>(pairs[row].instruction);
        if (at >= mine.begin && at < mine.end && wanted(split, instructions[at - mine.begin]))
            rows.push_back(row);
    }
    return rows;
}

std::vector<Verdict> judge_pairs(AnswerJudge& judge, const PairFile& file,
                                 const std::vector<PreferencePair>& pairs,
                                 std::span<const std::uint64_t> rows, std::uint32_t judge_row,
                                 Progress& progress) {
    std::vector<Comparison> comparisons;
    for (std::uint64_t row : rows) {
        const PreferencePair& pair = pairs[row];
        const std::uint64_t answers[] = {pair.chosen, pair.rejected};
        const auto responses = file.responses(answers);
        comparisons.push_back(
            {as_transcript(file.instructions({pair.instruction, pair.instruction + 1}).front()),
             responses[0].text, responses[1].text});
    }
    std::vector<Verdict> verdicts;
    judge.judge(comparisons, [&](std::size_t index, Verdict verdict) {
        verdict.pair = rows[index];
        verdict.judge = judge_row;
        verdicts.push_back(std::move(verdict));
        progress.advance();
    });
    return verdicts;
}

nlohmann::ordered_json to_json(const VerdictSummary& summary) {
    return {{"accuracy", summary.accuracy},
            {"lower", summary.lower},
            {"upper", summary.upper},
            {"interval", "Wilson, 95 %"},
            {"n", summary.n},
            {"n_valid", summary.n_valid},
            {"ties", summary.ties},
            {"position_consistency", summary.position_consistency},
            {"chosen_first_accuracy", summary.chosen_first_accuracy},
            {"rejected_first_accuracy", summary.rejected_first_accuracy}};
}

void write_table(const JudgeInputs& inputs, const JudgeRow& judge) {
    const PairFile file(inputs.pairs);
    const auto judges = file.judges();
    const auto at = std::ranges::find(judges, judge) - judges.begin();
    std::vector<Verdict> verdicts = file.verdicts();
    std::erase_if(verdicts, [&](const Verdict& verdict) { return verdict.judge != at; });
    const ContrastAccuracy accuracy =
        contrast_accuracy(file.header(), file.pairs({0, file.pair_count()}), verdicts);
    nlohmann::ordered_json json{{"judge", judge.name},
                                {"judge_sha256", judge.model},
                                {"template", judge.template_name},
                                {"template_sha256", judge.template_sha256},
                                {"pairs", inputs.pairs.native()},
                                {"split", inputs.judge.split}};
    for (const auto& [name, summary] : accuracy.strategies)
        json["strategies"][name] = to_json(summary);
    json["all"] = to_json(accuracy.all);
    json["provenance"] = nlohmann::json::parse(inputs.provenance);
    write_text_file(inputs.output, json.dump(2) + "\n");
    inputs.logger.info("contrast accuracy (both orders):\n" + format_contrast_accuracy(accuracy));
}

}  // namespace

void JudgeOptions::validate() const {
    if (split != "all" && split != "train" && split != "held_out")
        throw UsageError(fmt::format("judge.split '{}' is not all, train or held_out", split));
    if (batch_tokens < 1)
        throw UsageError("judge.batch_tokens must be at least 1");
}

ExitStatus run_judge(const ModelRanks& ranks, const JudgeInputs& inputs, const Deadline& deadline) {
    const Communicator& comm = ranks.leaders();
    const Judge judge = load_judge(comm, inputs);
    auto file = run_on_all(comm, [&] { return PairFile(inputs.pairs); });
    std::vector<JudgeRow> judges = file.judges();
    const auto known = std::ranges::find(judges, judge.row);
    const bool judged = known != judges.end();
    const auto judge_row = static_cast<std::uint32_t>(known - judges.begin());
    const auto pairs = run_on_all(comm, [&] { return file.pairs({0, file.pair_count()}); });
    auto rows = run_on_all(comm, [&] { return my_pairs(comm, file, pairs, inputs.judge.split); });
    std::vector<Verdict> verdicts;
    if (judged) {
        std::vector<bool> done(pairs.size(), false);
        for (const Verdict& verdict : file.verdicts())
            if (verdict.judge == judge_row)
                done[verdict.pair] = true;
        std::erase_if(rows, [&](std::uint64_t row) { return done[row]; });
    }
    const auto left = all_reduce<std::uint64_t>(comm, rows.size(), Reduction::sum);
    if (left > 0) {
        const auto answer_judge = run_on_all(comm, [&] {
            return open_judge(inputs.judge.model, judge.options, judge.judge_template,
                              {inputs.judge.batch_tokens, inputs.run.device, ranks, inputs.logger});
        });
        run_on_all(comm, [&] {
            Progress progress(inputs.logger, "judge", "verdicts", 2 * rows.size());
            for (std::size_t at = 0; at < rows.size() && !deadline.reached();
                 at += pairs_between_checks) {
                const auto part = judge_pairs(
                    *answer_judge, file, pairs,
                    std::span(rows).subspan(at, std::min(pairs_between_checks, rows.size() - at)),
                    judge_row, progress);
                verdicts.insert(verdicts.end(), part.begin(), part.end());
            }
        });
        if (!judged)
            judges.push_back(judge.row);
        const auto made = all_reduce<std::uint64_t>(comm, verdicts.size(), Reduction::sum);
        if (comm.is_root()) {  // the file's verdicts are replaced: earlier ones go along
            const auto earlier = file.verdicts();
            verdicts.insert(verdicts.end(), earlier.begin(), earlier.end());
        }
        write_verdicts(comm, inputs.pairs, judges, verdicts);
        if (made < 2 * left) {
            inputs.logger.warn("stopped at the deadline; run it again for the rest");
            return ExitStatus::requeue;
        }
    }
    run_on_all(comm, [&] {
        if (comm.is_root())
            write_table(inputs, judge.row);
    });
    return ExitStatus::done;
}

}  // namespace popalign
