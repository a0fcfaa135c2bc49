#include <popalign/base/descriptor.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/campaign/cost.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <fstream>
#include <vector>

namespace popalign::campaign {
namespace {

using Json = nlohmann::ordered_json;

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

/// Returns the RAPL energy counter of this node's processors [J]; nothing if it cannot be read.
std::optional<double> node_joules() {
    std::error_code error;
    std::optional<double> joules;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/class/powercap", error)) {
        // Packages only: they include their parts (intel-rapl:0:1).
        const std::string name = entry.path().filename();
        if (!name.starts_with("intel-rapl:") || name.find(':', 11) != std::string::npos)
            continue;
        std::ifstream file(entry.path() / "energy_uj");
        double microjoules = 0;
        if (file >> microjoules)
            joules = joules.value_or(0) + 1e-6 * microjoules;
    }
    return joules;
}

std::uint64_t io_counter(const std::string& name) {
    std::ifstream file("/proc/self/io");
    std::string key;
    std::uint64_t value = 0;
    while (file >> key >> value)
        if (key == name + ":")
            return value;
    return 0;
}

Json to_json(const StageCost& cost) {
    Json json{{"stage", cost.stage},
              {"seconds", cost.seconds},
              {"ranks", cost.ranks},
              {"threads", cost.threads},
              {"core_seconds", cost.core_seconds},
              {"gpu_seconds", cost.gpu_seconds},
              {"read_bytes", cost.read_bytes},
              {"written_bytes", cost.written_bytes},
              {"peak_memory_bytes", cost.peak_memory_bytes}};
    if (cost.joules)
        json["joules"] = *cost.joules;
    if (cost.tokens > 0)
        json["tokens"] = cost.tokens;
    if (!cost.strategy_tokens.empty())
        json["strategy_tokens"] = cost.strategy_tokens;
    return json;
}

/// Sums over several lines.
class Total {
  public:
    void add(const Json& line) {
        ++lines_;
        for (const auto& [name, value] : line.items())
            if (value.is_number() && name != "ranks" && name != "threads")
                sums_[name] = name == "peak_memory_bytes"
                                  ? std::max(sums_[name], value.get<double>())
                                  : sums_[name] + value.get<double>();
    }
    Json json() const {
        Json result{{"records", lines_}};
        for (const auto& [name, value] : sums_)
            result[name] =
                value == std::floor(value) ? Json(static_cast<std::int64_t>(value)) : Json(value);
        return result;
    }

  private:
    std::map<std::string, double> sums_;
    std::uint64_t lines_ = 0;
};

}  // namespace

CostMeter::CostMeter(const comm::Communicator& comm)
    : comm_(comm), node_(comm.split_node()), start_(read()) {}

CostMeter::Reading CostMeter::read() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return {std::chrono::steady_clock::now(),
            seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime), io_counter("read_bytes"),
            io_counter("write_bytes"), node_joules()};
}

StageCost CostMeter::finish(const std::string& stage, DeviceKind device) const {
    const Reading now = read();
    StageCost cost;
    cost.stage = stage;
    cost.ranks = comm_.size();
    if (const char* threads = std::getenv("OMP_NUM_THREADS"))
        cost.threads = std::max(1, std::atoi(threads));
    cost.seconds =
        comm::all_reduce(comm_, std::chrono::duration<double>(now.time - start_.time).count(),
                         comm::Reduction::maximum);
    const bool metered = now.joules && start_.joules && *now.joules >= *start_.joules;
    std::array<double, 5> sums{now.processor_seconds - start_.processor_seconds,
                               static_cast<double>(now.read_bytes - start_.read_bytes),
                               static_cast<double>(now.written_bytes - start_.written_bytes),
                               node_.is_root() && metered ? *now.joules - *start_.joules : 0.0,
                               node_.is_root() && metered ? 0.0
                               : node_.is_root()          ? 1.0
                                                          : 0.0};
    comm::all_reduce(comm_, std::span<double>(sums), comm::Reduction::sum);
    cost.core_seconds = sums[0];
    cost.read_bytes = static_cast<std::uint64_t>(sums[1]);
    cost.written_bytes = static_cast<std::uint64_t>(sums[2]);
    if (sums[4] == 0)  // all nodes could be read
        cost.joules = sums[3];
    cost.gpu_seconds = device == DeviceKind::gpu ? cost.seconds * cost.ranks : 0;
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    cost.peak_memory_bytes = comm::all_reduce<std::uint64_t>(
        comm_, std::uint64_t{1024} * static_cast<std::uint64_t>(usage.ru_maxrss),
        comm::Reduction::maximum);
    return cost;
}

std::map<std::string, std::uint64_t> tokens_by_strategy(const std::filesystem::path& pair_file) {
    const store::PairFile file(pair_file);
    constexpr std::size_t block_rows = 4096;
    std::vector<std::uint32_t> uses(file.response_count(), 0);
    const auto for_pairs = [&](auto&& visit) {
        for (std::size_t begin = 0; begin < file.pair_count(); begin += block_rows)
            for (const PreferencePair& pair :
                 file.pairs({begin, std::min<std::size_t>(begin + block_rows, file.pair_count())}))
                for (const std::uint64_t row : {pair.chosen, pair.rejected})
                    visit(pair.strategy, row);
    };
    for_pairs([&](std::uint32_t, std::uint64_t row) { ++uses.at(row); });
    std::vector<double> lengths;
    for (std::size_t begin = 0; begin < file.response_count(); begin += block_rows)
        for (const Response& response : file.responses(
                 Range{begin, std::min<std::size_t>(begin + block_rows, file.response_count())}))
            lengths.push_back(static_cast<double>(response.tokens.size()));
    std::vector<double> sums(file.header().strategies.size(), 0.0);
    for_pairs([&](std::uint32_t strategy, std::uint64_t row) {
        sums.at(strategy) += lengths.at(row) / uses.at(row);
    });
    std::map<std::string, std::uint64_t> tokens;
    for (std::size_t s = 0; s < sums.size(); ++s)
        tokens[file.header().strategies[s].name] +=
            static_cast<std::uint64_t>(std::llround(sums[s]));
    return tokens;
}

void append_cost(const std::filesystem::path& directory, const StageCost& cost) {
    std::filesystem::create_directories(directory);
    const std::filesystem::path path = RunDirectory(directory).cost();
    const std::string line = to_json(cost).dump() + "\n";
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
    if (!file || ::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
        throw_system_error("append to", path.native());
}

std::string total_cost(const std::filesystem::path& directory) {
    std::map<std::string, Total> stages;
    std::map<std::string, std::uint64_t> strategies;
    Total all;
    std::uint64_t unreadable = 0;
    const auto add_file = [&](const std::filesystem::path& path) {
        std::ifstream file(path);
        for (std::string text; std::getline(file, text);) {
            const Json line = Json::parse(text, nullptr, false);
            if (!line.is_object() || !line.contains("stage") || !line["stage"].is_string()) {
                ++unreadable;
                continue;
            }
            stages[line["stage"]].add(line);
            all.add(line);
            if (const auto found = line.find("strategy_tokens");
                found != line.end() && found->is_object())
                for (const auto& [name, tokens] : found->items())
                    if (tokens.is_number_unsigned())
                        strategies[name] += tokens.get<std::uint64_t>();
        }
    };
    if (!std::filesystem::is_directory(directory))
        throw InputError(directory.native(), "is not a directory; give a run's or a sweep's");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
        if (entry.path() == RunDirectory(entry.path().parent_path()).cost())
            add_file(entry.path());
    Json result;
    for (const auto& [name, total] : stages)
        result["stages"][name] = total.json();
    result["strategy_tokens"] = strategies;
    result["total"] = all.json();
    result["unreadable_lines"] = unreadable;
    return result.dump(2);
}

}  // namespace popalign::campaign
