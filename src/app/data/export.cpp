#include "app/command/command.hpp"
#include "app/command/rows.hpp"

#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/preference/options/train_options.hpp>
#include <popalign/record/pair_flags.hpp>
#include <popalign/store/pairs/pair_file.hpp>
#include <popalign/store/rows/interchange.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <span>

namespace popalign::app {
namespace {

struct Arguments {
    std::string format, input, output, split = "all";
    std::vector<std::string> strategies, exclude_flags = preference::TrainOptions().exclude_flags;
};

struct Exported {
    std::string text;
    std::uint64_t rows = 0, excluded = 0, not_held = 0;
};

bool wanted(const Arguments& arguments, const store::PairFile& file, const PreferencePair& pair,
            const Instruction& instruction) {
    const std::string& strategy = file.header().strategies.at(pair.strategy).name;
    return (arguments.strategies.empty() ||
            std::ranges::find(arguments.strategies, strategy) != arguments.strategies.end()) &&
           (arguments.split == "all" ||
            (arguments.split == "train") == (instruction.split == Split::train));
}

/// Rows read together.
constexpr std::size_t block_rows = 1024;

/// The rows of `/instructions` that the pairs name, by row.
std::map<std::uint64_t, Instruction> instructions_of(const store::PairFile& file,
                                                     std::span<const PreferencePair> pairs) {
    std::set<std::uint64_t> rows;
    for (const PreferencePair& pair : pairs)
        rows.insert(pair.instruction);
    std::map<std::uint64_t, Instruction> instructions;
    for (auto begin = rows.begin(); begin != rows.end();) {
        auto end = std::next(begin);
        while (end != rows.end() && *end == *std::prev(end) + 1)
            ++end;
        std::uint64_t row = *begin;
        for (Instruction& instruction : file.instructions({row, *std::prev(end) + 1}))
            instructions.emplace(row++, std::move(instruction));
        begin = end;
    }
    return instructions;
}

void export_block(const Arguments& arguments, const store::PairFile& file, Range rows,
                  Exported& result) {
    const store::InterchangeFormat& format = store::find_interchange_format(arguments.format);
    const std::uint32_t excluded = flag_mask(arguments.exclude_flags);
    const auto pairs = file.pairs(rows);
    const auto instructions = instructions_of(file, pairs);
    std::vector<std::uint64_t> answers;
    for (const PreferencePair& pair : pairs)
        answers.insert(answers.end(), {pair.chosen, pair.rejected});
    const auto responses = file.responses(answers);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        const Instruction& instruction = instructions.at(pairs[i].instruction);
        if (!wanted(arguments, file, pairs[i], instruction))
            continue;
        if ((pairs[i].flags & excluded) != 0) {
            ++result.excluded;
            continue;
        }
        auto row = format.write({instruction, responses[2 * i].text, responses[2 * i + 1].text});
        if (!row) {
            ++result.not_held;
            continue;
        }
        row->emplace("strategy", file.header().strategies[pairs[i].strategy].name);
        result.text += row->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
        ++result.rows;
    }
}

Exported export_share(const comm::Communicator& comm, const Arguments& arguments) {
    if (arguments.split != "all" && arguments.split != "train" && arguments.split != "held_out")
        throw UsageError("--split is all, train or held_out");
    const store::PairFile file(arguments.input);
    const Range share = partition(file.pair_count(), comm.rank(), comm.size());
    Exported result;
    for (std::size_t begin = share.begin; begin < share.end; begin += block_rows)
        export_block(arguments, file, {begin, std::min(begin + block_rows, share.end)}, result);
    return result;
}

ExitStatus export_pairs(const Arguments& arguments, const CommandContext& context) {
    const Exported mine =
        comm::run_on_all(context.comm, [&] { return export_share(context.comm, arguments); });
    std::vector<std::uint64_t> counts{mine.rows, mine.excluded, mine.not_held};
    comm::all_reduce(context.comm, std::span(counts), comm::Reduction::sum);
    write_in_rank_order(context.comm, arguments.output, mine.text);
    context.logger.info(
        fmt::format("{}: {} pairs written; {} left out by their flags, {} that {} cannot hold",
                    arguments.output, counts[0], counts[1], counts[2], arguments.format));
    return ExitStatus::done;
}

}  // namespace

Command make_export_command(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser =
        app.add_subcommand("export", "pair file -> preference data for other programs");
    parser->add_option("--format", arguments->format, "as those of `import`")->required();
    parser->add_option("--input", arguments->input, "pair file (.h5)")->required();
    parser->add_option("--output", arguments->output, "JSON Lines")->required();
    parser->add_option("--split", arguments->split, "all, train or held_out")
        ->capture_default_str();
    parser->add_option("--strategies", arguments->strategies, "only these; all by default")
        ->delimiter(',');
    parser
        ->add_option("--exclude-flags", arguments->exclude_flags,
                     "leave out pairs with any of these; empty: none")
        ->delimiter(',')
        ->expected(0, 32)
        ->capture_default_str();
    return {parser, [arguments](const CommandContext& context) {
                std::erase(arguments->exclude_flags, "");
                return export_pairs(*arguments, context);
            }};
}

}  // namespace popalign::app
