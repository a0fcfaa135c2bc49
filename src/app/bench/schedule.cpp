#include "app/command/command.hpp"

#include <popalign/base/random.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/comm/schedule_simulation.hpp>
#include <popalign/comm/work_ledger.hpp>
#include <popalign/comm/work_schedule.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>

namespace popalign::app {
namespace {

struct Arguments {
    int ranks = 10'000, ranks_per_node = 8;
    std::size_t generations = 1'000'000, kinds = 10, slots = 64, most_units = 512;
    std::string lengths;
    // Fitted to the 1,998 answers of 1,000 rows of UltraFeedback (characters / 4.4).
    double log_mean = 4.887, log_deviation = 1.520;
    double longest = 1024, prompt_tokens = 100, tokens_per_second = 1000, step_overhead = 0;
    double late_share = 0, late_by = 0.1, failed_share = 0;
    std::uint64_t seed = 0;
    std::size_t hand_outs = 200'000;
};

/// Answers' lengths by the generation they are of, as a finished run measured them.
std::vector<std::vector<double>> measured_lengths(const std::string& path) {
    const store::PairFile file(path);
    std::vector<std::vector<double>> lengths(file.header().generations.size());
    constexpr std::size_t part = 4096;
    for (std::size_t begin = 0; begin < file.response_count(); begin += part)
        for (const Response& response : file.responses(
                 Range{begin, std::min<std::size_t>(begin + part, file.response_count())}))
            lengths[response.generation].push_back(
                std::max<double>(1, static_cast<double>(response.tokens.size())));
    std::erase_if(lengths, [](const auto& of) { return of.empty(); });
    if (lengths.empty())
        throw InputError(path, "no answers in it");
    return lengths;
}

/// Answer lengths drawn from what was measured, or from a log-normal distribution that is cut off
/// at the token limit.
class Lengths {
  public:
    explicit Lengths(const Arguments& arguments)
        : arguments_(arguments), stream_(arguments.seed, "length", "bench schedule") {
        if (!arguments.lengths.empty())
            measured_ = measured_lengths(arguments.lengths);
    }
    std::size_t kinds() const { return measured_.empty() ? arguments_.kinds : measured_.size(); }

    double draw(std::size_t unit, std::size_t kind) const {
        if (!measured_.empty()) {
            const auto& of = measured_[kind];
            return of[static_cast<std::size_t>(stream_.uniform(2 * unit) *
                                               static_cast<double>(of.size()))];
        }
        // Kinds of answers have medians from half to twice the whole's.
        const double spread =
            kinds() > 1 ? static_cast<double>(kind) / static_cast<double>(kinds() - 1) * 2 - 1 : 0;
        const double normal = std::sqrt(-2 * std::log(1 - stream_.uniform(2 * unit))) *
                              std::cos(2 * std::numbers::pi * stream_.uniform(2 * unit + 1));
        const double length = std::exp(arguments_.log_mean + spread * std::numbers::ln2 +
                                       arguments_.log_deviation * normal);
        return std::clamp(std::round(length), 1.0, arguments_.longest);
    }

  private:
    const Arguments& arguments_;
    RandomStream stream_;
    std::vector<std::vector<double>> measured_;
};

/// The schedule knows only the mean of a kind.
std::vector<comm::SimulatedUnit> draw_units(const Arguments& arguments) {
    const Lengths lengths(arguments);
    const std::size_t kinds = lengths.kinds();
    std::vector<comm::SimulatedUnit> units(arguments.generations);
    std::vector<double> sums(kinds, 0);
    std::vector<std::size_t> counts(kinds, 0);
    for (std::size_t i = 0; i < units.size(); ++i) {
        units[i].work = lengths.draw(i, i % kinds);
        sums[i % kinds] += units[i].work;
        ++counts[i % kinds];
    }
    for (std::size_t i = 0; i < units.size(); ++i)
        units[i].unit = {
            i, static_cast<std::uint32_t>(i % kinds),
            arguments.prompt_tokens + sums[i % kinds] / static_cast<double>(counts[i % kinds])};
    return units;
}

comm::SimulatedMachine make_machine(const Arguments& arguments) {
    comm::SimulatedMachine machine;
    machine.workers = arguments.ranks;
    machine.workers_per_shard = arguments.ranks_per_node;
    machine.slots = arguments.slots;
    machine.most_units = arguments.most_units;
    machine.step_overhead = arguments.step_overhead;
    machine.own_draw = 2e-6 * arguments.tokens_per_second;
    machine.remote_draw = 20e-6 * arguments.tokens_per_second;
    return machine;
}

/// Lets shares of the nodes come late and be lost, at times within a run of `end`.
void disturb(const Arguments& arguments, double end, comm::SimulatedMachine& machine) {
    const auto nodes = static_cast<std::size_t>((arguments.ranks + arguments.ranks_per_node - 1) /
                                                arguments.ranks_per_node);
    const RandomStream stream(arguments.seed, "node", "bench schedule");
    for (std::size_t node = 0; node < nodes; ++node) {
        const bool late = stream.uniform(3 * node) < arguments.late_share;
        const bool lost = stream.uniform(3 * node + 1) < arguments.failed_share;
        machine.starts.push_back(late ? arguments.late_by * end : 0);
        machine.failures.push_back(lost ? stream.uniform(3 * node + 2) * end
                                        : std::numeric_limits<double>::infinity());
    }
}

nlohmann::ordered_json describe(const Arguments& arguments, const comm::SimulatedRun& run) {
    const auto unfinished = static_cast<std::uint64_t>(std::ranges::count(run.finished, 0));
    const auto wrong =
        run.handed_out.size() - static_cast<std::size_t>(std::ranges::count(run.handed_out, 1U));
    return {{"busy_share", run.busy_share},
            {"seconds", run.end / arguments.tokens_per_second},
            {"draws", run.draws},
            {"stolen_chunks", run.stolen_chunks},
            {"units_not_handed_out_once", wrong},
            {"units_lost_with_their_ranks", unfinished}};
}

nlohmann::ordered_json simulate(const Arguments& arguments) {
    const auto units = draw_units(arguments);
    double sum = 0, longest = 0;
    for (const comm::SimulatedUnit& unit : units) {
        sum += unit.work;
        longest = std::max(longest, unit.work);
    }
    comm::SimulatedMachine machine = make_machine(arguments);
    nlohmann::ordered_json json{
        {"ranks", arguments.ranks},
        {"ranks_per_node", arguments.ranks_per_node},
        {"generations", units.size()},
        {"lengths",
         {{"from", arguments.lengths.empty()
                       ? fmt::format("log-normal({}, {}), cut off at {}", arguments.log_mean,
                                     arguments.log_deviation, arguments.longest)
                       : arguments.lengths},
          {"mean", sum / static_cast<double>(units.size())},
          {"longest", longest}}},
        {"step_overhead", arguments.step_overhead}};
    const comm::SimulatedRun fixed = comm::simulate_static_partition(units, machine);
    if (arguments.late_share > 0 || arguments.failed_share > 0)
        disturb(arguments, sum / arguments.ranks, machine);
    json["handed_out"] = describe(arguments, comm::simulate_schedule(units, machine));
    json["static_partition_undisturbed"] = {{"busy_share", fixed.busy_share},
                                            {"seconds", fixed.end / arguments.tokens_per_second}};
    return json;
}

/// Returns the cost of a unit on this rank [us] if all ranks only take units. Collective.
double measure_hand_out(const comm::Communicator& comm, const comm::Communicator& node,
                        std::size_t units_each, std::size_t most_units) {
    comm::WorkLedger ledger(comm, node);
    const auto schedule_of = [&](int shard) {
        std::vector<comm::WorkUnit> units(units_each);
        for (std::size_t i = 0; i < units.size(); ++i)
            units[i] = {i, 0, 1};
        return std::make_shared<const comm::WorkSchedule>(std::move(units), ledger.workers(shard),
                                                          most_units);
    };
    auto search =
        ledger.search(0, [schedule = schedule_of(ledger.own_shard())](int) { return schedule; });
    comm::barrier(comm);
    const auto start = std::chrono::steady_clock::now();
    std::uint64_t taken = 0;
    for (auto chunk = comm::next_chunk(ledger, 0, search); !chunk.empty();
         chunk = comm::next_chunk(ledger, 0, search))
        taken += chunk.size();
    const std::chrono::duration<double, std::micro> spent =
        std::chrono::steady_clock::now() - start;
    const auto all = comm::all_reduce(comm, taken, comm::Reduction::sum);
    const double longest = comm::all_reduce(comm, spent.count(), comm::Reduction::maximum);
    ledger.finish();
    return longest * comm.size() / static_cast<double>(all);
}

/// Collective.
nlohmann::ordered_json measure(const comm::Communicator& comm, const Arguments& arguments) {
    const comm::Communicator node = comm.split_node(), alone = comm.split(comm.rank());
    const std::size_t units = arguments.hand_outs;
    return {{"ranks", comm.size()},
            {"microseconds_per_unit", measure_hand_out(comm, node, units, arguments.most_units)},
            {"microseconds_per_unit_one_at_a_time", measure_hand_out(comm, node, units, 1)},
            {"microseconds_per_unit_one_at_a_time_with_stealing",
             measure_hand_out(comm, alone, units / static_cast<std::size_t>(comm.size()), 1)}};
}

void add_options(CLI::App& parser, Arguments& arguments) {
    const auto option = [&](const char* name, auto& value, const char* help) {
        parser.add_option(name, value, help)->capture_default_str();
    };
    option("--ranks", arguments.ranks, "ranks of the simulated machine");
    option("--ranks-per-node", arguments.ranks_per_node, "ranks of a node, which share a counter");
    option("--generations", arguments.generations, "generations to make");
    option("--kinds", arguments.kinds,
           "kinds of generations, with medians from half to twice the overall one");
    option("--lengths", arguments.lengths, "pair file (.h5) from whose answers lengths are drawn");
    option("--log-mean", arguments.log_mean, "mean of log-lengths, if no file gives lengths");
    option("--log-deviation", arguments.log_deviation,
           "standard deviation of log-lengths, if no file gives lengths");
    option("--longest", arguments.longest, "longest answer [token]");
    option("--slots", arguments.slots, "sequences that a rank decodes together");
    option("--step-overhead", arguments.step_overhead,
           "fixed cost of a decoding step, in sequences");
    option("--late-share", arguments.late_share, "share of nodes that start late");
    option("--late-by", arguments.late_by, "delay of late nodes, as a share of the run");
    option("--failed-share", arguments.failed_share, "share of nodes that are lost during the run");
    option("--seed", arguments.seed, "seeds the draws");
    option("--hand-outs", arguments.hand_outs, "units to draw on the real ranks, for measurement");
}

}  // namespace

Command make_bench_schedule_command(CLI::App& bench) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = bench.add_subcommand(
        "schedule",
        "work distribution: simulated on many ranks, and what a hand-out costs on the real ones");
    add_options(*parser, *arguments);
    return {parser, [arguments](const CommandContext& context) {
                const auto cost = measure(context.comm, *arguments);
                comm::run_on_all(context.comm, [&] {
                    if (arguments->ranks < 1 || arguments->ranks_per_node < 1 ||
                        arguments->kinds < 1 || arguments->generations < 1)
                        throw UsageError("bench schedule: counts must be at least 1");
                    if (!context.comm.is_root())
                        return;
                    nlohmann::ordered_json json{{"bench", "schedule"},
                                                {"simulated", simulate(*arguments)},
                                                {"measured", cost}};
                    fmt::print("{}\n", json.dump(2));
                });
                return ExitStatus::done;
            }};
}

}  // namespace popalign::app
