#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/evaluation/benchmark.hpp>
#include <popalign/evaluation/win_rate_stage.hpp>
#include <popalign/lm/backends/model_options.hpp>

#include <filesystem>
#include <map>
#include <string>

namespace popalign::evaluation {

struct BenchmarkInputs {
    RunOptions run;
    std::map<std::string, lm::ModelOptions> models;
    EvaluateOptions evaluate;
    lm::ModelOptions model;        ///< the measured model
    Benchmark benchmark;           ///< filled on all ranks
    std::filesystem::path output;  ///< file for the figures; the items go beside it as .jsonl
    std::string provenance;
    Logger logger;
};

/// Makes a benchmark of a pair file's held-out instructions, compared with the baseline. Throws
/// UsageError if it has none.
Benchmark held_out_benchmark(const std::filesystem::path& pairs);

/// Has the model answer the benchmark, and the baseline too if the data lack its answers; has the
/// judge compare or rate the answers; scores them. Items are spread over the leaders. Items judged
/// by an earlier start are not judged again. Returns `requeue` at the deadline; null: no deadline.
/// Collective over the leaders.
ExitStatus run_benchmark(const lm::ModelRanks& ranks, const BenchmarkInputs& inputs,
                         const Deadline* deadline);

}  // namespace popalign::evaluation
