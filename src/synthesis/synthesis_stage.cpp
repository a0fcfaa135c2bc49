#include "synthesis/budget.hpp"
#include "synthesis/response_ledger.hpp"
#include "synthesis/setup.hpp"
#include "synthesis/synthesizer.hpp"

#include <popalign/base/progress.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/record/pair_flags.hpp>
#include <popalign/store/flag_counts.hpp>
#include <popalign/store/overlap.hpp>
#include <popalign/store/pair_repeats.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

namespace popalign {
namespace {

PairFileHeader make_header(const SynthesisInputs& inputs, const SynthesisSetup& setup) {
    PairFileHeader header;
    header.config = inputs.config_text;
    auto provenance = nlohmann::json::parse(inputs.provenance);
    provenance["fingerprint"] = setup.key;
    header.provenance = provenance.dump();
    std::map<std::string, std::uint32_t> rows;
    for (const auto& [name, model] : setup.models) {
        rows[name] = static_cast<std::uint32_t>(header.models.size());
        header.models.push_back({name, model.identity.path, model.identity.sha256,
                                 model.identity.parameters, model.identity.tokenizer_sha256,
                                 model.identity.template_sha256});
    }
    for (const auto& generation : setup.plan.generations)
        header.generations.push_back(
            {generation.name, rows.at(generation.model), template_text(generation)});
    header.strategies = setup.plan.strategies;
    return header;
}

/// `first` is the row of this rank's first response.
PairBlock make_block(std::uint64_t first, const SynthesisSetup& setup,
                     const OverlapIndex& evaluation_sets, ResponseLedger& ledger) {
    const Range rows = ledger.rows();
    PairBlock block;
    block.instructions.assign(setup.instructions.begin() + static_cast<std::ptrdiff_t>(rows.begin),
                              setup.instructions.begin() + static_cast<std::ptrdiff_t>(rows.end));
    block.responses = ledger.take();
    std::size_t next = 0;
    for (std::size_t i = rows.begin; i < rows.end; ++i) {
        const Instruction& instruction = setup.instructions[i];
        const std::uint32_t overlap = evaluation_sets.overlaps(instruction.text)
                                          ? static_cast<std::uint32_t>(PairFlag::overlap)
                                          : 0;
        // Where this instruction's answers are, by generation.
        std::map<std::size_t, std::size_t> local;
        for (; next < block.responses.size() && block.responses[next].instruction == i; ++next)
            local[block.responses[next].generation] = next;
        for (std::size_t p = 0; p < setup.plan.pairs.size(); ++p) {
            if (!setup.coverage->has_pair(i, p))
                continue;
            const auto& [chosen, rejected, strategy] = setup.plan.pairs[p];
            const std::size_t good = local.at(chosen), bad = local.at(rejected);
            block.pairs.push_back(
                {i, strategy, first + good, first + bad,
                 overlap | pair_flags(instruction, block.responses[good], block.responses[bad])});
        }
    }
    return block;
}

/// How many answers of each strategy were drawn more than once for their format.
void report_retries(const Communicator& comm, const GenerationPlan& plan, const PairBlock& block,
                    const Logger& logger) {
    std::vector<std::uint64_t> retries(plan.generations.size(), 0);
    for (const Response& response : block.responses)
        retries[response.generation] += response.attempts - 1;
    all_reduce(comm, std::span(retries), Reduction::sum);
    for (std::size_t s = 0; s < plan.strategies.size(); ++s) {
        std::set<std::size_t> generations;
        for (const PlannedPair& pair : plan.pairs)
            if (pair.strategy == s)
                for (std::optional<std::size_t> at : {pair.chosen, pair.rejected})
                    for (; at; at = plan.generations[*at].previous)
                        generations.insert(*at);
        std::uint64_t count = 0;
        for (const std::size_t generation : generations)
            count += retries[generation];
        if (count > 0)
            logger.info(fmt::format("{}: {} further draws of answers that lacked their format",
                                    plan.strategies[s].name, count));
    }
}

void report_tokens(const Communicator& comm, const TokenCount& mine, const Logger& logger) {
    std::vector<std::uint64_t> counts{mine.computed, mine.without_sharing};
    all_reduce(comm, std::span(counts), Reduction::sum);
    if (counts[1] > 0)
        logger.info(fmt::format(
            "{} tokens computed, {} without shared prefixes and generations: {:.0f} % saved",
            counts[0], counts[1],
            100 * (1 - static_cast<double>(counts[0]) / static_cast<double>(counts[1]))));
}

/// What each model did in this start; returns the answers of all. Collective.
std::uint64_t report_work(const Communicator& comm, const GenerationPlan& plan,
                          const std::map<std::string, ModelWork>& mine,
                          const SynthesisInputs& inputs) {
    std::uint64_t answers = 0;
    for (const std::string& name : plan.models()) {
        const auto found = mine.find(name);
        const ModelWork work = found == mine.end() ? ModelWork() : found->second;
        std::vector<std::uint64_t> sums{work.answers, work.prompt_tokens, work.answer_tokens};
        all_reduce(comm, std::span(sums), Reduction::sum);
        const double seconds = all_reduce(comm, work.seconds, Reduction::maximum);
        answers += sums[0];
        if (sums[0] > 0)
            inputs.logger.info(fmt::format(
                "{}: {} answers, {} prompt and {} answer tokens in {} ({:.0f} answer tokens/s), "
                "cost {:.4f}",
                name, sums[0], sums[1], sums[2], format_seconds(seconds),
                static_cast<double>(sums[2]) / std::max(seconds, 1e-9),
                token_cost(inputs.models.at(name), sums[1], sums[2])));
    }
    return answers;
}

/// Everything finished is saved. Where the budget stopped a start before its first answer, another
/// one could not do more. Collective.
ExitStatus stop_early(const Communicator& comm, std::uint64_t left, std::uint64_t answers,
                      const Deadline& deadline, const Logger& logger) {
    if (agree_to_stop(comm, deadline)) {
        logger.warn(
            fmt::format("stopped at the deadline with {} answers to make; run it again", left));
        return ExitStatus::requeue;
    }
    run_on_all(comm, [&] {
        if (answers == 0)
            throw UsageError(fmt::format(
                "the budget does not allow one of the {} answers that are left to make; raise "
                "synthesis.max_budget",
                left));
    });
    logger.warn(fmt::format(
        "stopped before the budget is passed, with {} answers to make; raise synthesis.max_budget",
        left));
    return ExitStatus::requeue;
}

/// Whether the pair file of exactly this run is there; another one's is not overwritten.
bool already_made(const std::filesystem::path& path, const std::string& key) {
    if (!std::filesystem::exists(path))
        return false;
    const auto provenance =
        nlohmann::json::parse(PairFile(path).header().provenance, nullptr, false);
    if (provenance.is_object() && provenance.value("fingerprint", "") == key)
        return true;
    throw UsageError(path.native() +
                     ": made with other settings, models or instructions; choose another "
                     "run.directory or remove the file");
}

}  // namespace

std::filesystem::path pair_file_path(const RunOptions& run) {
    return run.pairs.empty() ? std::filesystem::path(run.directory) / "pairs.h5"
                             : std::filesystem::path(run.pairs);
}

ExitStatus run_synthesis(const ModelRanks& ranks, const SynthesisInputs& inputs,
                         const Deadline& deadline) {
    const Communicator& comm = ranks.leaders();
    const Logger& logger = inputs.logger;
    const SynthesisSetup setup = prepare_synthesis(comm, inputs);
    const GenerationPlan& plan = setup.plan;
    const std::size_t instructions = setup.instructions.size();
    const auto path = pair_file_path(inputs.run);
    if (run_on_all(comm, [&] { return already_made(path, setup.key); })) {
        logger.info(fmt::format("{}: complete already", path.native()));
        return ExitStatus::done;
    }
    if (inputs.synthesis.deterministic)
        at::set_num_threads(1);

    const auto directory =
        std::filesystem::path(inputs.run.directory) / "synthesis" / setup.key.substr(0, 16);
    const Coverage& coverage = *setup.coverage;
    ResponseLedger ledger(
        comm, directory, instructions, plan.generations.size(),
        [&](std::size_t i, std::size_t g) { return coverage.has_generation(i, g); }, logger);
    const auto made = all_reduce<std::uint64_t>(comm, ledger.made(), Reduction::sum);
    logger.info(
        fmt::format("{} instructions x {} distinct generations for {} strategies; {} of {} "
                    "answers are made already",
                    instructions, plan.generations.size(), plan.strategies.size(), made,
                    coverage.generations()));
    const auto start = std::chrono::steady_clock::now();
    Budget budget(comm, inputs, setup, ledger, directory);
    std::uint64_t answers = 0;
    {
        Synthesizer synthesizer(inputs, setup, ledger, budget, deadline);
        synthesizer.run(ranks);
        report_tokens(comm, synthesizer.tokens(), logger);
        answers = report_work(comm, plan, synthesizer.work(), inputs);
    }
    const auto left =
        all_reduce<std::uint64_t>(comm, ledger.wanted() - ledger.made(), Reduction::sum);
    if (left > 0)
        return stop_early(comm, left, answers, deadline, logger);
    const OverlapIndex evaluation_sets = run_on_all(comm, [&] {
        OverlapIndex index;
        for (const std::string& file : inputs.instructions.evaluation_sets)
            index.add_file(file);
        return index;
    });
    const std::uint64_t first = exclusive_scan(comm, ledger.wanted());
    PairBlock block =
        run_on_all(comm, [&] { return make_block(first, setup, evaluation_sets, ledger); });
    flag_repeats(comm, block);
    const PairFileHeader header = make_header(inputs, setup);
    report_flags(comm, block, header, logger);
    report_retries(comm, plan, block, logger);
    write_pair_file(comm, path, header, block);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    logger.info(fmt::format("{}: {} pairs in {}", path.native(), coverage.pairs(),
                            format_seconds(seconds.count())));
    return ExitStatus::done;
}

}  // namespace popalign
