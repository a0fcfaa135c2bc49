#pragma once

#include "app/command/command.hpp"

#include <popalign/evaluation/benchmark_table.hpp>

namespace popalign::app {

/// Adds `evaluate <row.name>`, which evaluates a model's answers or, if the scoring can read them,
/// judgements made elsewhere. `row` must outlive the command.
Command make_benchmark_command(CLI::App& evaluate, const evaluation::BenchmarkRow& row);

}  // namespace popalign::app
