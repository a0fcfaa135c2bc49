#include "app/command/command.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/partwise_sum.hpp>
#include <popalign/comm/run.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace popalign::app {
namespace {

struct Arguments {
    std::size_t largest = std::size_t{1} << 28;  ///< bytes
    int repeats = 10;
};

/// Returns the time of a call on the slowest rank [s], without the first calls.
template <class Call>
double seconds_of(const comm::Communicator& comm, int repeats, const Call& call) {
    using Clock = std::chrono::steady_clock;
    for (int i = 0; i < 2; ++i)
        call();
    comm::barrier(comm);
    const auto start = Clock::now();
    for (int i = 0; i < repeats; ++i)
        call();
    const double mine = std::chrono::duration<double>(Clock::now() - start).count() / repeats;
    return comm::all_reduce(comm, mine, comm::Reduction::maximum);
}

nlohmann::ordered_json bench_allreduce(const comm::Communicator& comm, const Arguments& arguments) {
    const comm::Communicator node = comm.split_node();
    comm::PartwiseSum sums(comm, node);
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    const auto ranks = static_cast<std::size_t>(comm.size());
    for (std::size_t bytes = std::size_t{1} << 14; bytes <= arguments.largest; bytes *= 4) {
        const std::size_t count = bytes / sizeof(float) / ranks * ranks;
        std::vector<float> buffer(count, 0.0F);
        const double plain = seconds_of(comm, arguments.repeats, [&] {
            comm::all_reduce(comm, std::span(buffer), comm::Reduction::sum);
        });
        const double ours = seconds_of(comm, arguments.repeats, [&] {
            sums.add(std::span(buffer), comm::PartwiseSum::Result::on_all);
            sums.finish();
        });
        const double in_parts = seconds_of(comm, arguments.repeats, [&] {
            sums.add(std::span(buffer), comm::PartwiseSum::Result::in_parts);
            sums.finish();
        });
        // Bytes that each rank sends in an optimal all-reduce, as nccl-tests and OSU count them.
        const double sent = 2.0 * static_cast<double>(count * sizeof(float)) *
                            static_cast<double>(ranks - 1) / static_cast<double>(ranks);
        rows.push_back({{"bytes", count * sizeof(float)},
                        {"seconds", ours},
                        {"mpi_seconds", plain},
                        {"in_parts_seconds", in_parts},
                        {"bus_bytes_per_second", sent / ours},
                        {"mpi_bus_bytes_per_second", sent / plain},
                        {"fraction_of_mpi", plain / ours}});
    }
    return {{"bench", "allreduce"},
            {"ranks", comm.size()},
            {"ranks_of_this_node", node.size()},
            {"sizes", rows}};
}

}  // namespace

Command make_bench_allreduce_command(CLI::App& bench) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = bench.add_subcommand(
        "allreduce", "the sum of gradients over ranks, beside MPI_Allreduce (2 ranks or more)");
    parser->add_option("--largest", arguments->largest, "bytes of the largest buffer")
        ->capture_default_str();
    parser->add_option("--repeats", arguments->repeats, "calls of each size")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    return {parser, [arguments](const CommandContext& context) {
                comm::run_on_all(context.comm, [&] {
                    if (context.comm.size() < 2)
                        throw UsageError("bench allreduce needs ranks; run it under mpirun -n 2");
                });
                const auto result = bench_allreduce(context.comm, *arguments);
                if (context.comm.is_root())
                    fmt::print("{}\n", result.dump(2));
                return ExitStatus::done;
            }};
}

}  // namespace popalign::app
