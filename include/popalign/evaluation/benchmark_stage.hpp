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
    lm::ModelOptions model;        ///< what is measured
    Benchmark benchmark;           ///< on all ranks
    std::filesystem::path output;  ///< the figures; the items go beside it as .jsonl
    std::string provenance;
    Logger logger;
};

/// The held-out instructions of a pair file, compared with the baseline. Throws UsageError if it
/// has none.
Benchmark held_out_benchmark(const std::filesystem::path& pairs);

/// Has the model answer what the benchmark asks, and the baseline where the data hold no answers of
/// it; has the judge compare or rate them; scores. Items are spread over the leaders; what was
/// judged before is not judged again. Returns `requeue` at the deadline, if there is one.
/// Collective over the leaders.
ExitStatus run_benchmark(const lm::ModelRanks& ranks, const BenchmarkInputs& inputs,
                         const Deadline* deadline);

}  // namespace popalign::evaluation
