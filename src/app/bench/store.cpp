#include "app/command/command.hpp"

#include <popalign/base/file.hpp>
#include <popalign/base/random.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_file.hpp>
#include <popalign/store/pairs/response_merge.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

namespace popalign::app {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

std::uint64_t peak_resident_memory() {
    struct rusage usage {};
    return ::getrusage(RUSAGE_SELF, &usage) == 0
               ? 1024 * static_cast<std::uint64_t>(usage.ru_maxrss)
               : 0;
}

struct Arguments {
    std::string directory = "bench-store";
    std::uint64_t pairs = 1'000'000, answer_bytes = 1000, memory = 128, batches = 100, seed = 0;
    bool keep = false;
};

/// Rows that look like a run's, as a function of their numbers alone.
class SyntheticRows {
  public:
    explicit SyntheticRows(const Arguments& arguments)
        : arguments_(arguments), stream_(arguments.seed, "row", "bench store") {
        constexpr std::size_t length = std::size_t{1} << 20;
        for (std::uint64_t word = 0; text_.size() < length; ++word) {
            const std::uint64_t bits = stream_.bits(word);
            for (std::uint64_t letter = 0; letter < 2 + bits % 8; ++letter)
                text_ += static_cast<char>('a' + (bits >> (8 + 5 * letter)) % 26);
            text_ += ' ';
        }
    }

    Instruction instruction(std::uint64_t row) const {
        return {fmt::format("row-{}", row), "bench", std::string(piece(row, 200)), Split::train};
    }

    /// Its length lies between half and one and a half times what is asked for.
    Response response(std::uint64_t row, std::uint32_t generation) const {
        const std::uint64_t bits = stream_.bits(2 * row + generation);
        Response response;
        response.instruction = row;
        response.generation = generation;
        response.text = piece(bits, arguments_.answer_bytes / 2 +
                                        bits % std::max<std::uint64_t>(arguments_.answer_bytes, 1));
        constexpr std::size_t bytes_per_token = 4;
        for (std::size_t byte = 0; byte + bytes_per_token <= response.text.size();
             byte += bytes_per_token)
            response.tokens.push_back(
                static_cast<std::int32_t>((bits + byte * 2654435761U) % 49152));
        response.logprob = -static_cast<double>(response.tokens.size());
        response.seed = bits;
        return response;
    }

    /// The rank whose journal has it: any.
    int writer(std::uint64_t row, std::uint32_t generation, int ranks) const {
        return static_cast<int>(stream_.bits(~(2 * row + generation)) %
                                static_cast<std::uint64_t>(ranks));
    }

  private:
    std::string_view piece(std::uint64_t start, std::uint64_t length) const {
        length = std::min<std::uint64_t>(length, text_.size() / 2);
        return std::string_view(text_).substr(start * 97 % (text_.size() / 2), length);
    }

    const Arguments& arguments_;
    RandomStream stream_;
    std::string text_;
};

constexpr std::uint32_t generations = 2;

/// Each rank's journal, as a run leaves it. Collective.
std::uint64_t write_journals(const comm::Communicator& comm, const std::filesystem::path& directory,
                             const SyntheticRows& rows, std::uint64_t pairs) {
    comm::run_on_all(comm, [&] {
        store::JournalWriter journal(store::journal_path(directory, comm.rank()));
        for (std::uint64_t row = 0; row < pairs; ++row)
            for (std::uint32_t generation = 0; generation < generations; ++generation)
                if (rows.writer(row, generation, comm.size()) == comm.rank())
                    journal.append(store::encode_response(rows.response(row, generation)));
        journal.sync();
    });
    const std::uint64_t bytes =
        std::filesystem::file_size(store::journal_path(directory, comm.rank()));
    return comm::all_reduce(comm, bytes, comm::Reduction::sum);
}

store::MergeInputs merge_inputs(const std::filesystem::path& output, const SyntheticRows& rows,
                                const Arguments& arguments) {
    store::MergeInputs inputs;
    inputs.output = output;
    inputs.header.provenance = "{}";
    inputs.header.models = {{"model", "", "", 0, "", ""}};
    inputs.header.generations = {{"bench/chosen", 0, ""}, {"bench/rejected", 0, ""}};
    inputs.header.strategies = {{"bench", "prompt", ""}};
    inputs.instructions = arguments.pairs;
    inputs.instruction = [&rows](std::uint64_t row) { return rows.instruction(row); };
    inputs.pairs = {{0, 1, 0}};
    inputs.has_response = inputs.has_pair = [](std::uint64_t, std::size_t) { return true; };
    inputs.repeats = store::MergeInputs::Repeats::ignored;
    inputs.flags = [](const Instruction&, const Response&, const Response&) { return 0U; };
    inputs.memory_bytes = arguments.memory << 20;
    return inputs;
}

/// Measures on the root while the others sleep: waiting in a collective would take its processor
/// away. Collective.
template <class Measure>
void measure_alone(const comm::Communicator& comm, const std::filesystem::path& directory,
                   Measure&& measure) {
    const auto finished = directory / "finished";
    comm::run_on_all(comm, [&] {
        if (!comm.is_root()) {
            while (!std::filesystem::exists(finished))
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
            return;
        }
        try {
            measure();
        } catch (...) {
            write_text_file(finished, "");
            throw;
        }
        write_text_file(finished, "");
    });
    comm::barrier(comm);
    if (comm.is_root())
        std::filesystem::remove(finished);
    comm::barrier(comm);
}

/// Returns the fastest write speed of a process, with a sync [byte/s]. Collective.
double raw_write_speed(const comm::Communicator& comm, const std::filesystem::path& directory,
                       std::uint64_t bytes) {
    const auto scratch = directory / "raw";
    double seconds = 0;
    measure_alone(comm, directory, [&] {
        const std::vector<std::byte> block(std::size_t{8} << 20, std::byte{'x'});
        const auto start = Clock::now();
        AtomicFile file(scratch);
        for (std::uint64_t done = 0; done < bytes; done += block.size())
            file.write(std::span(block).first(std::min<std::uint64_t>(block.size(), bytes - done)));
        file.commit();
        seconds = seconds_since(start);
        std::filesystem::remove(scratch);
    });
    return static_cast<double>(bytes) / comm::all_reduce(comm, seconds, comm::Reduction::maximum);
}

/// Milliseconds that each of many random batches of 64 pairs, with all that belongs to them, takes.
nlohmann::ordered_json read_batches(const std::filesystem::path& path, const Arguments& arguments) {
    const store::PairFile file(path);
    const RandomStream stream(arguments.seed, "batch", "bench store");
    std::vector<double> times;
    std::uint64_t drawn = 0, bytes = 0;
    for (std::uint64_t batch = 0; batch < std::max<std::uint64_t>(arguments.batches, 1); ++batch) {
        constexpr std::size_t pairs_per_batch = 64;
        const auto start = Clock::now();
        for (std::size_t i = 0; i < pairs_per_batch; ++i) {
            const std::uint64_t row = stream.bits(drawn++) % file.pair_count();
            const PreferencePair pair = file.pairs({row, row + 1}).front();
            bytes +=
                file.instructions({pair.instruction, pair.instruction + 1}).front().text.size();
            const std::uint64_t rows[] = {pair.chosen, pair.rejected};
            for (const Response& response : file.responses(std::span(rows)))
                bytes += response.text.size();
        }
        times.push_back(1e3 * seconds_since(start));
    }
    const double first = times.front();
    std::ranges::sort(times);
    return {{"first", first},
            {"median", times[times.size() / 2]},
            {"largest", times.back()},
            {"text_bytes_a_batch", bytes / times.size()}};
}

/// Collective.
nlohmann::ordered_json bench_store(const comm::Communicator& comm, const Arguments& arguments,
                                   const Logger& logger) {
    const std::filesystem::path directory = arguments.directory, journals = directory / "journals",
                                path = directory / "pairs.h5";
    comm::run_on_all(comm, [&] {
        if (comm.is_root() && !std::filesystem::create_directories(journals))
            throw UsageError(journals.native() + ": is there already; choose another --directory");
    });
    const SyntheticRows rows(arguments);
    auto start = Clock::now();
    const std::uint64_t journal_bytes = write_journals(comm, journals, rows, arguments.pairs);
    const double journal_seconds = seconds_since(start);
    const double raw_before = raw_write_speed(comm, directory, journal_bytes);

    comm::barrier(comm);
    start = Clock::now();
    const store::ResponseIndex index(comm, journals, arguments.pairs, generations,
                                     store::ResponseIndex::Writers::gone, logger);
    const double index_seconds =
        comm::all_reduce(comm, seconds_since(start), comm::Reduction::maximum);
    const auto report = store::merge_responses(comm, index, merge_inputs(path, rows, arguments));
    const double seconds = comm::all_reduce(comm, seconds_since(start), comm::Reduction::maximum);
    const auto resident = comm::all_reduce(comm, peak_resident_memory(), comm::Reduction::maximum);

    // Before anything else is written: the file is as warm as one that is in use.
    nlohmann::ordered_json batches;
    measure_alone(comm, directory, [&] { batches = read_batches(path, arguments); });
    const std::uint64_t bytes = std::filesystem::file_size(path);
    const double raw = std::max(raw_before, raw_write_speed(comm, directory, bytes));
    const double speed = static_cast<double>(bytes) / seconds;
    nlohmann::ordered_json json{
        {"bench", "store"},
        {"ranks", comm.size()},
        {"pairs", report.pairs},
        {"journal_bytes", journal_bytes},
        {"journal_bytes_per_second", static_cast<double>(journal_bytes) / journal_seconds},
        {"file_bytes", bytes},
        {"seconds", seconds},
        {"seconds_reading_journals_first", index_seconds},
        {"bytes_per_second", speed},
        {"limit", {{"raw_write_bytes_per_second", raw}}},
        {"fraction_of_limit", speed / raw},
        {"peak_resident_bytes_per_rank", resident}};
    comm::run_on_all(comm, [&] {
        if (!comm.is_root())
            return;
        json["batch_of_64_milliseconds"] = batches;
        const auto verifying = Clock::now();
        json["problems"] = store::PairFile(path).verify();
        json["verify_seconds"] = seconds_since(verifying);
        if (!arguments.keep)
            std::filesystem::remove_all(directory);
    });
    return json;
}

}  // namespace

Command make_bench_store_command(CLI::App& bench) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = bench.add_subcommand(
        "store", "journals of all ranks to a pair file, beside what the file system writes");
    const auto option = [&](const char* name, auto& value, const char* help) {
        parser->add_option(name, value, help)->capture_default_str();
    };
    option("--directory", arguments->directory, "made for this and removed");
    option("--pairs", arguments->pairs, "pairs of one strategy");
    option("--answer-bytes", arguments->answer_bytes, "mean length of an answer [byte]");
    option("--memory", arguments->memory,
           "MiB a rank that answers may take, as synthesis.merge_memory");
    option("--batches", arguments->batches, "batches of 64 random pairs to read");
    option("--seed", arguments->seed, "seeds the rows");
    parser->add_flag("--keep", arguments->keep, "leave the files there");
    return {parser, [arguments](const CommandContext& context) {
                comm::run_on_all(context.comm, [&] {
                    if (arguments->pairs == 0 || arguments->memory == 0)
                        throw UsageError("bench store: --pairs and --memory must be at least 1");
                });
                const auto json = bench_store(context.comm, *arguments, context.logger);
                if (context.comm.is_root())
                    fmt::print("{}\n", json.dump(2));
                return ExitStatus::done;
            }};
}

}  // namespace popalign::app
