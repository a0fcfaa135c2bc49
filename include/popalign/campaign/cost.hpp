#pragma once

#include <popalign/comm/communicator.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace popalign::campaign {

/// Resources that a stage used, summed over its ranks where nothing else is said.
struct StageCost {
    std::string stage;
    double seconds = 0;            ///< wall time of the stage [s]
    int ranks = 1, threads = 1;    ///< threads of a rank
    double core_seconds = 0;       ///< processor time, user and system [s]
    double gpu_seconds = 0;        ///< ranks that own a GPU, times `seconds` [s]
    std::optional<double> joules;  ///< energy of the nodes' processors [J], where RAPL can be read
    std::uint64_t read_bytes = 0, written_bytes = 0;  ///< file input and output [byte]
    std::uint64_t peak_memory_bytes = 0;  ///< resident memory of the largest rank [byte]
    std::uint64_t tokens = 0;             ///< tokens drawn or trained on; 0: not counted
    std::map<std::string, std::uint64_t> strategy_tokens;
};

enum class DeviceKind { cpu, gpu };

/// Measures a stage from the meter's construction to `finish`. Each rank has one.
class CostMeter {
  public:
    explicit CostMeter(const comm::Communicator& comm);
    /// Returns the sums over the ranks, the same on all. Collective.
    StageCost finish(const std::string& stage, DeviceKind device) const;

  private:
    struct Reading {
        std::chrono::steady_clock::time_point time;
        double processor_seconds = 0;
        std::uint64_t read_bytes = 0, written_bytes = 0;
        std::optional<double> joules;
    };
    static Reading read();

    comm::Communicator comm_, node_;
    Reading start_;
};

/// Returns the tokens of a pair file's answers by strategy. An answer that several pairs use is
/// divided equally among them, so that the sum is the number of tokens generated.
std::map<std::string, std::uint64_t> tokens_by_strategy(const std::filesystem::path& pair_file);

/// Appends a line to cost.jsonl in a run's directory. Call on one rank.
void append_cost(const std::filesystem::path& directory, const StageCost& cost);

/// Adds up every cost.jsonl below a directory, by stage and by strategy, and returns JSON.
/// Incomplete lines are counted and skipped.
std::string total_cost(const std::filesystem::path& directory);

}  // namespace popalign::campaign
