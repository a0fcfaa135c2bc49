#include "app/command.hpp"
#include "app/rows.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/preference/pair_data.hpp>
#include <popalign/preference/train_options.hpp>
#include <popalign/store/exchange.hpp>
#include <popalign/store/pair_store.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <memory>

namespace popalign {
namespace {

struct Arguments {
    std::string format, input, output, split = "all";
    std::vector<std::string> strategies, exclude_flags = TrainOptions().exclude_flags;
};

struct Exported {
    std::string text;
    std::uint64_t rows = 0, excluded = 0, not_held = 0;
};

bool wanted(const Arguments& arguments, const PairFile& file, const PreferencePair& pair,
            const Instruction& instruction) {
    const std::string& strategy = file.header().strategies.at(pair.strategy).name;
    return (arguments.strategies.empty() ||
            std::ranges::find(arguments.strategies, strategy) != arguments.strategies.end()) &&
           (arguments.split == "all" ||
            (arguments.split == "train") == (instruction.split == Split::train));
}

Exported export_share(const Communicator& comm, const Arguments& arguments) {
    if (arguments.split != "all" && arguments.split != "train" && arguments.split != "held_out")
        throw UsageError("--split is all, train or held_out");
    const ExchangeFormat& format = find_exchange_format(arguments.format);
    const std::uint32_t excluded = flag_mask(arguments.exclude_flags);
    const PairFile file(arguments.input);
    Exported result;
    for (const PreferencePair& pair :
         file.pairs(partition(file.pair_count(), comm.rank(), comm.size()))) {
        const auto instruction = file.instructions({pair.instruction, pair.instruction + 1}).at(0);
        if (!wanted(arguments, file, pair, instruction))
            continue;
        if ((pair.flags & excluded) != 0) {
            ++result.excluded;
            continue;
        }
        const auto responses = file.responses(std::array{pair.chosen, pair.rejected});
        auto row = format.write({instruction, responses[0].text, responses[1].text});
        if (!row) {
            ++result.not_held;
            continue;
        }
        row->emplace("strategy", file.header().strategies[pair.strategy].name);
        result.text += row->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
        ++result.rows;
    }
    return result;
}

ExitStatus export_pairs(const Arguments& arguments, const CommandContext& context) {
    const Exported mine =
        run_on_all(context.comm, [&] { return export_share(context.comm, arguments); });
    std::vector<std::uint64_t> counts{mine.rows, mine.excluded, mine.not_held};
    all_reduce(context.comm, std::span(counts), Reduction::sum);
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

}  // namespace popalign
