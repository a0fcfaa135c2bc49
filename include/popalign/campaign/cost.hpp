#pragma once

#include <popalign/comm/communicator.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace popalign::campaign {

/// What a stage used, over all its ranks.
struct StageCost {
    std::string stage;
    double seconds = 0;            ///< of the stage
    int ranks = 1, threads = 1;    ///< threads of a rank
    double core_seconds = 0;       ///< of processor time, user and system
    double gpu_seconds = 0;        ///< ranks that own a GPU, times `seconds`
    std::optional<double> joules;  ///< of the nodes' processors (RAPL), where they can be read
    std::uint64_t read_bytes = 0, written_bytes = 0;  ///< from and to files
    std::uint64_t peak_memory_bytes = 0;              ///< resident, of the largest rank
    std::uint64_t tokens = 0;                         ///< drawn, or trained on; 0: not counted
    std::map<std::string, std::uint64_t> strategy_tokens;
};

enum class DeviceKind { cpu, gpu };

/// Runs from its construction to `finish`. One of each rank.
class CostMeter {
  public:
    explicit CostMeter(const comm::Communicator& comm);
    /// Sums over the ranks; the same on all. Collective.
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

/// Tokens of a pair file's answers by strategy: an answer that several pairs use counts for each in
/// equal parts, so that the sum is what was made.
std::map<std::string, std::uint64_t> tokens_by_strategy(const std::filesystem::path& pair_file);

/// Adds a line to cost.jsonl of a run's directory. On one rank.
void append_cost(const std::filesystem::path& directory, const StageCost& cost);

/// All cost.jsonl below a directory added up, by stage and by strategy, as JSON. Lines that are not
/// whole are counted, not read.
std::string total_cost(const std::filesystem::path& directory);

}  // namespace popalign::campaign
