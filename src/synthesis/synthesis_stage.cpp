#include "synthesis/budget.hpp"
#include "synthesis/fingerprint.hpp"
#include "synthesis/response_ledger.hpp"
#include "synthesis/setup.hpp"
#include "synthesis/synthesizer.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/progress.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/record/pair_flags.hpp>
#include <popalign/store/pairs/flag_counts.hpp>
#include <popalign/store/pairs/pair_file.hpp>
#include <popalign/store/pairs/response_merge.hpp>
#include <popalign/store/rows/overlap.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string_view>

namespace popalign::synthesis {
namespace {

constexpr std::string_view fingerprint_file = "fingerprint.json";

store::PairFileHeader make_header(const SynthesisInputs& inputs, const SynthesisSetup& setup) {
    store::PairFileHeader header;
    header.config = inputs.config_text;
    auto provenance = nlohmann::json::parse(inputs.provenance);
    provenance["fingerprint"] = pair_file_fingerprint(inputs, setup);
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

std::filesystem::path journal_directory(const SynthesisInputs& inputs,
                                        const SynthesisSetup& setup) {
    return RunDirectory(inputs.run.directory).journals(setup.key);
}

store::OverlapIndex load_evaluation_sets(const SynthesisInputs& inputs) {
    store::OverlapIndex index;
    for (const std::string& file : inputs.instructions.evaluation_sets)
        index.add_file(file);
    return index;
}

store::MergeInputs make_merge_inputs(const SynthesisInputs& inputs, const SynthesisSetup& setup,
                                     const store::OverlapIndex& evaluation_sets) {
    store::MergeInputs merge;
    merge.header = make_header(inputs, setup);
    merge.instructions = setup.instructions.size();
    merge.instruction = [&](std::uint64_t row) { return setup.instructions[row]; };
    for (const PlannedPair& pair : setup.plan.pairs)
        merge.pairs.push_back({static_cast<std::uint32_t>(pair.chosen),
                               static_cast<std::uint32_t>(pair.rejected), pair.strategy});
    merge.has_response = [&](std::uint64_t i, std::size_t g) {
        return setup.coverage->has_generation(i, g);
    };
    merge.has_pair = [&](std::uint64_t i, std::size_t p) { return setup.coverage->has_pair(i, p); };
    merge.flags = [&](const Instruction& instruction, const Response& chosen,
                      const Response& rejected) {
        const std::uint32_t overlap = evaluation_sets.overlaps(instruction.text)
                                          ? static_cast<std::uint32_t>(PairFlag::overlap)
                                          : 0;
        return overlap | pair_flags(instruction, chosen, rejected);
    };
    merge.memory_bytes = static_cast<std::uint64_t>(inputs.synthesis.merge_memory) << 20;
    return merge;
}

/// Counts the answers of each strategy that were drawn again because of their format.
void report_retries(const GenerationPlan& plan, const std::vector<std::uint64_t>& retries,
                    const Logger& logger) {
    for (std::size_t s = 0; s < plan.strategies.size(); ++s) {
        std::set<std::size_t> generations;
        for (const PlannedPair& pair : plan.pairs)
            if (pair.strategy == s)
                for (std::optional<std::size_t> generation : {pair.chosen, pair.rejected})
                    for (; generation; generation = plan.generations[*generation].previous)
                        generations.insert(*generation);
        std::uint64_t count = 0;
        for (const std::size_t generation : generations)
            count += retries[generation];
        if (count > 0)
            logger.info(fmt::format("{}: {} further draws of answers that lacked their format",
                                    plan.strategies[s].name, count));
    }
}

/// Merges the journals into a pair file. Collective.
store::MergeReport merge(const comm::Communicator& comm, const SynthesisInputs& inputs,
                         const SynthesisSetup& setup, store::MergeInputs::Missing missing) {
    const bool whole = missing == store::MergeInputs::Missing::error;
    const store::OverlapIndex evaluation_sets =
        comm::run_on_all(comm, [&] { return load_evaluation_sets(inputs); });
    store::MergeInputs merging = make_merge_inputs(inputs, setup, evaluation_sets);
    merging.output = whole ? pair_file_path(inputs.run) : pairs_so_far_path(inputs.run);
    merging.missing = missing;
    const store::ResponseIndex index(
        comm, journal_directory(inputs, setup), setup.instructions.size(),
        static_cast<std::uint32_t>(setup.plan.generations.size()),
        whole ? store::ResponseIndex::Writers::gone : store::ResponseIndex::Writers::at_work,
        inputs.logger);
    store::MergeReport report = store::merge_responses(comm, index, merging);
    store::report_flags(comm, {{}, {}, report.own_pairs}, merging.header, inputs.logger);
    report_retries(setup.plan, report.retries, inputs.logger);
    return report;
}

void report_tokens(const comm::Communicator& comm, const TokenCount& mine, const Logger& logger) {
    std::vector<std::uint64_t> counts{mine.computed, mine.without_sharing};
    comm::all_reduce(comm, std::span(counts), comm::Reduction::sum);
    if (counts[1] > 0)
        logger.info(fmt::format(
            "{} tokens computed, {} without shared prefixes and generations: {:.0f} % saved",
            counts[0], counts[1],
            100 * (1 - static_cast<double>(counts[0]) / static_cast<double>(counts[1]))));
}

/// Logs the work of each model in this start; returns the answers of all ranks. Collective.
std::uint64_t report_work(const comm::Communicator& comm, const GenerationPlan& plan,
                          const std::map<std::string, ModelWork>& mine,
                          const SynthesisInputs& inputs) {
    std::uint64_t answers = 0;
    for (const std::string& name : plan.models()) {
        const auto found = mine.find(name);
        const ModelWork work = found == mine.end() ? ModelWork() : found->second;
        std::vector<std::uint64_t> sums{work.answers, work.prompt_tokens, work.answer_tokens};
        comm::all_reduce(comm, std::span(sums), comm::Reduction::sum);
        const double seconds = comm::all_reduce(comm, work.seconds, comm::Reduction::maximum);
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

/// Ends a start with all finished answers saved. If the budget stopped it before its first answer,
/// another start could not do more. Collective.
ExitStatus stop_early(const comm::Communicator& comm, std::uint64_t left, std::uint64_t answers,
                      const Deadline& deadline, const Logger& logger) {
    if (comm::agree_to_stop(comm, deadline)) {
        logger.warn(
            fmt::format("stopped at the deadline with {} answers to make; run it again", left));
        return ExitStatus::requeue;
    }
    comm::run_on_all(comm, [&] {
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

/// Parses a fingerprint as JSON; nothing if it has another form.
std::optional<Fingerprint> read_fingerprint(const nlohmann::json& json) {
    try {
        return json.get<Fingerprint>();
    } catch (const nlohmann::json::exception&) {
        return std::nullopt;
    }
}

/// Returns whether the pair file of exactly this run exists; never overwrites another run's.
bool already_made(const std::filesystem::path& path, const Fingerprint& fingerprint) {
    if (!std::filesystem::exists(path))
        return false;
    const auto provenance =
        nlohmann::json::parse(store::PairFile(path).header().provenance, nullptr, false);
    const auto before = provenance.is_object() && provenance.contains("fingerprint")
                            ? read_fingerprint(provenance["fingerprint"])
                            : std::nullopt;
    if (!before)
        throw UsageError(path.native() +
                         ": made in another way or by an earlier version, so that its settings "
                         "cannot be compared; choose another run.directory or remove the file");
    require_same(*before, fingerprint, path.native());
    return true;
}

/// Reports answers in this folder that do not belong to this run, and why. Call on one rank.
void report_other_answers(const std::filesystem::path& own, const Fingerprint& answers,
                          const Logger& logger) {
    for (const auto& entry : std::filesystem::directory_iterator(own.parent_path())) {
        if (entry.path() == own || !entry.is_directory())
            continue;
        const auto file = entry.path() / fingerprint_file;
        const auto before =
            std::filesystem::exists(file)
                ? read_fingerprint(nlohmann::json::parse(read_text_file(file), nullptr, false))
                : std::nullopt;
        logger.warn(fmt::format("the answers in {} are not used: {}", entry.path().native(),
                                before ? difference(*before, answers).value_or("")
                                       : "made by an earlier version of the program"));
    }
}

/// Makes the journals' folder, with their fingerprint beside them. Call on one rank.
void open_journal_folder(const std::filesystem::path& folder, const Fingerprint& answers,
                         const Logger& logger) {
    if (std::filesystem::exists(folder / fingerprint_file))
        return;
    std::filesystem::create_directories(folder);
    report_other_answers(folder, answers, logger);
    write_text_file(folder / fingerprint_file, nlohmann::json(answers).dump(2) + "\n");
}

/// Makes missing answers until the deadline or the budget is reached. Collective.
ExitStatus make_answers(const lm::ModelRanks& ranks, const SynthesisInputs& inputs,
                        const SynthesisSetup& setup, const Deadline& deadline) {
    const comm::Communicator& comm = ranks.leaders();
    const Logger& logger = inputs.logger;
    const auto directory = journal_directory(inputs, setup);
    comm::run_on_all(comm, [&] {
        if (comm.is_root())
            open_journal_folder(directory, setup.answers, logger);
    });
    ResponseLedger ledger(
        comm, directory, setup.instructions.size(), setup.plan,
        [&](std::uint64_t i, std::size_t g) { return setup.coverage->has_generation(i, g); },
        logger);
    logger.info(
        fmt::format("{} instructions x {} distinct generations for {} strategies; {} of {} "
                    "answers are made already",
                    setup.instructions.size(), setup.plan.generations.size(),
                    setup.plan.strategies.size(), ledger.made_before(), ledger.wanted()));
    Budget budget(comm, inputs, setup, ledger, directory);
    Synthesizer synthesizer(inputs, setup, ledger, budget, deadline, ranks);
    synthesizer.run();
    comm::run_on_all(comm, [&] { ledger.close(); });
    report_tokens(comm, synthesizer.tokens(), logger);
    const std::uint64_t answers = report_work(comm, setup.plan, synthesizer.work(), inputs);
    const std::uint64_t left =
        ledger.wanted() - ledger.made_before() -
        comm::all_reduce<std::uint64_t>(comm, ledger.added(), comm::Reduction::sum);
    return left > 0 ? stop_early(comm, left, answers, deadline, logger) : ExitStatus::done;
}

}  // namespace

std::filesystem::path pair_file_path(const RunOptions& run) {
    return run.pairs.empty() ? RunDirectory(run.directory).pairs()
                             : std::filesystem::path(run.pairs);
}

std::filesystem::path pairs_so_far_path(const RunOptions& run) {
    return RunDirectory(run.directory).pairs_so_far();
}

ExitStatus run_synthesis(const lm::ModelRanks& ranks, const SynthesisInputs& inputs,
                         const Deadline& deadline) {
    const comm::Communicator& comm = ranks.leaders();
    const Logger& logger = inputs.logger;
    const SynthesisSetup setup = prepare_synthesis(comm, inputs);
    const auto path = pair_file_path(inputs.run);
    if (comm::run_on_all(
            comm, [&] { return already_made(path, pair_file_fingerprint(inputs, setup)); })) {
        logger.info(fmt::format("{}: complete already", path.native()));
        return ExitStatus::done;
    }
    if (inputs.synthesis.deterministic)
        at::set_num_threads(1);
    const auto start = std::chrono::steady_clock::now();
    const ExitStatus status = make_answers(ranks, inputs, setup, deadline);
    if (status != ExitStatus::done)
        return status;
    const store::MergeReport report =
        merge(comm, inputs, setup, store::MergeInputs::Missing::error);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    logger.info(fmt::format("{}: {} pairs in {}", path.native(), report.pairs,
                            format_seconds(seconds.count())));
    return ExitStatus::done;
}

ExitStatus merge_so_far(const lm::ModelRanks& ranks, const SynthesisInputs& inputs) {
    const comm::Communicator& comm = ranks.leaders();
    const SynthesisSetup setup = prepare_synthesis(comm, inputs);
    const store::MergeReport report =
        merge(comm, inputs, setup, store::MergeInputs::Missing::left_out);
    inputs.logger.info(fmt::format("{}: {} pairs, with {} of {} answers made",
                                   pairs_so_far_path(inputs.run).native(), report.pairs,
                                   report.responses, report.wanted));
    return ExitStatus::done;
}

}  // namespace popalign::synthesis
