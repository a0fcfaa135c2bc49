#pragma once

#include "app/command/command.hpp"

#include <popalign/evaluation/benchmark_table.hpp>

namespace popalign::app {

/// `evaluate <row.name>`: a model's answers, or, where the scoring reads them, judgements that were
/// made elsewhere. `row` must outlive the command.
Command make_benchmark_command(CLI::App& evaluate, const evaluation::BenchmarkRow& row);

}  // namespace popalign::app
