#include "app/command/command.hpp"

#include <popalign/base/file.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/base/provenance.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/store/pairs/flag_counts.hpp>
#include <popalign/store/pairs/pair_file.hpp>
#include <popalign/store/pairs/pair_merge.hpp>
#include <popalign/store/pairs/pair_writer.hpp>
#include <popalign/store/rows/json_rows.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <functional>
#include <memory>
#include <optional>

namespace popalign::app {
namespace {

struct Arguments {
    std::string format, input, output, with, name = "label";
    std::uint64_t held_out = 0, max_bad_rows = 100;
    std::vector<std::string> evaluation_sets;
};

/// Pairs that a rank has read, and its count of bad rows.
struct Imported {
    std::vector<store::InterchangePair> pairs;
    std::uint64_t bad = 0;
    std::vector<std::string> complaints;  ///< of the first bad rows
};

constexpr std::size_t most_complaints = 5;

/// Pairs of a file that exists are about this many bytes of JSON Lines.
constexpr std::size_t bytes_per_pair = 2048;

Imported read_share(const Arguments& arguments, const store::InterchangeFormat& format,
                    const store::JsonRows& rows, Range share, std::size_t lines_before) {
    const std::string stem = std::filesystem::path(arguments.input).stem().native();
    Imported result;
    rows.visit(
        share, lines_before,
        [&](std::size_t line, const nlohmann::json& row) {
            store::InterchangePair pair = format.read(row);
            if (pair.instruction.id.empty())
                pair.instruction.id = fmt::format("{}-{}", stem, line);
            result.pairs.push_back(std::move(pair));
        },
        [&](std::size_t line, const std::string& why) {
            if (++result.bad <= most_complaints)
                result.complaints.push_back(
                    fmt::format("{}:{}: left out: {}", arguments.input, line, why));
            if (result.bad > arguments.max_bad_rows)
                throw InputError(arguments.input, line,
                                 fmt::format("no pair of format {} ({}), and one more than "
                                             "--max-bad-rows {}; check --format or raise it",
                                             arguments.format, why, arguments.max_bad_rows));
        });
    return result;
}

/// Collective.
void complain(const comm::Communicator& comm, const Imported& mine, const Logger& logger) {
    std::size_t said = 0;
    for (const auto& complaints : comm::all_gather_objects(comm, mine.complaints))
        for (const std::string& complaint : complaints)
            if (said++ < most_complaints)
                logger.warn(complaint);
}

/// Marks the last pairs over all ranks for evaluation. Collective.
void hold_out(const comm::Communicator& comm, std::uint64_t count,
              std::vector<store::InterchangePair>& pairs) {
    const auto all = comm::all_reduce<std::uint64_t>(comm, pairs.size(), comm::Reduction::sum);
    const std::uint64_t first = comm::exclusive_scan(comm, pairs.size());
    for (std::size_t i = 0; i < pairs.size(); ++i)
        if (first + i + count >= all)
            pairs[i].instruction.split = Split::held_out;
}

/// Reads this rank's share and agrees on whether the input is good enough. Collective.
Imported read_pairs(const comm::Communicator& comm, const Arguments& arguments,
                    const store::PairFile* base, Range& old_pairs) {
    const store::InterchangeFormat& format = comm::run_on_all(
        comm, [&] { return std::cref(store::find_interchange_format(arguments.format)); });
    const store::JsonRows rows =
        comm::run_on_all(comm, [&] { return store::JsonRows(arguments.input); });
    const store::MixShare share =
        store::share_of_mix(comm, base == nullptr ? 0 : base->pair_count(), rows.units(),
                            rows.is_list() ? 1 : bytes_per_pair);
    old_pairs = share.old_pairs;
    const std::size_t before = comm::exclusive_scan(comm, rows.lines(share.new_units));
    Imported mine = comm::run_on_all(
        comm, [&] { return read_share(arguments, format, rows, share.new_units, before); });
    const auto bad = comm::all_reduce(comm, mine.bad, comm::Reduction::sum);
    const auto good =
        comm::all_reduce<std::uint64_t>(comm, mine.pairs.size(), comm::Reduction::sum);
    comm::run_on_all(comm, [&] {
        if (bad > arguments.max_bad_rows || good == 0)
            throw InputError(arguments.input,
                             fmt::format("{} rows are pairs of format {} and {} are not; check "
                                         "--format or raise --max-bad-rows",
                                         good, arguments.format, bad));
    });
    return mine;
}

/// Writes a temporary file and renames it, since the file is complete only after its last part.
/// Collective.
void write_mix(const comm::Communicator& comm, const std::string& output,
               const store::PairFileHeader& header, const store::PairBlock& block,
               const store::PairFile* base) {
    const std::filesystem::path unfinished = output + ".unfinished";
    const auto on_root = [&](auto&& work) {
        comm::run_on_all(comm, [&] {
            if (comm.is_root())
                work();
        });
    };
    try {
        store::write_pair_file(comm, unfinished, header, block);
        if (base != nullptr)
            store::copy_judgements(comm, *base, unfinished);
        on_root([&] { commit_path(unfinished, output); });
    } catch (const comm::AgreedError&) {
        on_root([&] { std::filesystem::remove(unfinished); });
        throw;
    }
}

ExitStatus import_pairs(const Arguments& arguments, const CommandContext& context) {
    const comm::Communicator& comm = context.comm;
    store::PairFileHeader header;
    std::optional<store::PairFile> base;
    store::OverlapIndex evaluation_sets;
    store::PairOrigin origin{arguments.name, arguments.input, ""};
    comm::run_on_all(comm, [&] {
        if (!arguments.with.empty())
            header = base.emplace(arguments.with).header();
        header.provenance = provenance_json(comm.size(), context.command_line);
        for (const std::string& path : arguments.evaluation_sets)
            evaluation_sets.add_file(path);
    });
    Range old_pairs;
    Imported mine = read_pairs(comm, arguments, base ? &*base : nullptr, old_pairs);
    complain(comm, mine, context.logger);
    hold_out(comm, arguments.held_out, mine.pairs);
    comm::run_on_all(comm, [&] {
        if (comm.is_root())
            origin.sha256 = sha256_file(arguments.input);
    });
    const store::PairBlock block = store::append_pairs(comm, base ? &*base : nullptr, old_pairs,
                                                       mine.pairs, evaluation_sets, origin, header);
    write_mix(comm, arguments.output, header, block, base ? &*base : nullptr);
    store::report_flags(comm, block, header, context.logger);
    const auto good =
        comm::all_reduce<std::uint64_t>(comm, mine.pairs.size(), comm::Reduction::sum);
    const auto bad = comm::all_reduce(comm, mine.bad, comm::Reduction::sum);
    context.logger.info(fmt::format("{}: {} pairs imported as strategy '{}', {} rows left out",
                                    arguments.output, good, arguments.name, bad));
    return ExitStatus::done;
}

/// A GGUF file as an HF directory, in float32.
ExitStatus import_model(const Arguments& arguments, const CommandContext& context) {
    comm::run_on_all(context.comm, [&] {
        if (!context.comm.is_root())
            return;
        lm::save_hf_model(arguments.output,
                          lm::load_causal_lm(arguments.input, at::kFloat, at::kCPU),
                          lm::load_front_end(arguments.input),
                          provenance_json(context.comm.size(), context.command_line));
        context.logger.info(arguments.output + ": written");
    });
    return ExitStatus::done;
}

std::string format_help() {
    std::string text = "gguf (a model, as an HF directory), or of pairs:";
    for (const store::InterchangeFormat& format : store::interchange_formats())
        text += fmt::format("\n  {}: {}", format.name, format.description);
    return text;
}

}  // namespace

Command make_import_command(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = app.add_subcommand(
        "import", "preference data of other programs -> pair file; GGUF -> HF directory");
    parser->add_option("--format", arguments->format, format_help())->required();
    parser->add_option("--input", arguments->input, "JSON Lines or a JSON list")->required();
    parser->add_option("--output", arguments->output, "pair file (.h5), or directory")->required();
    parser->add_option("--name", arguments->name, "the strategy that the pairs become")
        ->capture_default_str();
    parser->add_option("--with", arguments->with,
                       "a pair file whose pairs come first: a mix to train on");
    parser->add_option("--held-out", arguments->held_out, "the last so many are for evaluation")
        ->capture_default_str();
    parser
        ->add_option("--evaluation-sets", arguments->evaluation_sets,
                     "benchmarks' prompts: pairs that share text with them are flagged `overlap`")
        ->delimiter(',');
    parser->add_option("--max-bad-rows", arguments->max_bad_rows, "give up at more")
        ->capture_default_str();
    return {parser, [arguments](const CommandContext& context) {
                return arguments->format == "gguf" ? import_model(*arguments, context)
                                                   : import_pairs(*arguments, context);
            }};
}

}  // namespace popalign::app
