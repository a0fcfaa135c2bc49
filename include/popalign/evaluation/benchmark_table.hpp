#pragma once

#include <popalign/evaluation/benchmark.hpp>

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace popalign::evaluation {

/// A benchmark that `popalign evaluate <name>` runs.
struct BenchmarkRow {
    std::string_view name;     ///< name of the command, and in results
    std::string_view summary;  ///< one line for `--help`
    std::string_view folder;   ///< below build/benchmarks, filled by data/fetch_benchmarks.py
    Scoring scoring;
    std::string_view judge_template;  ///< used unless the config names another
    /// Fills in the items and, where there are any, `baseline_name`, `length_control` and
    /// `left_out`. Throws InputError, or the JSON library's errors for a row of other types.
    void (*load)(const std::filesystem::path& folder, const std::string& version,
                 Benchmark& benchmark);
    std::span<const std::string_view> versions = {};  ///< versions of the data, the default first
};

/// Returns all benchmarks, in the order of `popalign evaluate --help`.
std::span<const BenchmarkRow> benchmark_table();

/// Reads a benchmark from a folder that data/fetch_benchmarks.py fills. Only rows with versions use
/// `version`. Throws InputError.
Benchmark load_benchmark(const BenchmarkRow& row, const std::filesystem::path& folder,
                         const std::string& version = "");

}  // namespace popalign::evaluation
