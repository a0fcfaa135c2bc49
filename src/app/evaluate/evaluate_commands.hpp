#pragma once

#include "app/command/command.hpp"

namespace popalign::app {

Command make_evaluate_alpaca_eval_command(CLI::App& evaluate);
Command make_evaluate_arena_hard_command(CLI::App& evaluate);
Command make_evaluate_mt_bench_command(CLI::App& evaluate);
Command make_evaluate_hh_rlhf_command(CLI::App& evaluate);
Command make_evaluate_judge_command(CLI::App& evaluate);

}  // namespace popalign::app
