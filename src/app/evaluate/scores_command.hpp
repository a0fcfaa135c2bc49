#pragma once

#include "app/command/command.hpp"

#include <popalign/evaluation/judge_validation.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace popalign::app {

/// Where data/fetch_benchmarks.py puts things.
inline constexpr const char* benchmark_folder = "build/benchmarks";

/// The folder given, or where that benchmark is fetched to.
std::string benchmark_data(const std::string& given, const std::string& name);

struct ArenaArguments {
    std::string battles, baseline;
    bool style_control = false;
    int rounds = 100;
    std::uint64_t seed = 0;
};

/// `evaluate alpaca-eval --annotations` and `evaluate arena-hard --battles`, as the contract has
/// them. Throw UsageError or InputError.
nlohmann::ordered_json alpaca_scores(const CommandContext& context, const std::string& annotations,
                                     const std::string& data);
nlohmann::ordered_json arena_scores(const ArenaArguments& arguments);

nlohmann::ordered_json to_json(const evaluation::JudgeWorth& worth);
nlohmann::ordered_json to_json(const evaluation::PeopleAgreement& people);

/// Makes the result on one rank and prints it, or writes it to `output`. Collective.
ExitStatus print_from_root(const comm::Communicator& comm, const std::string& output,
                           const std::function<nlohmann::ordered_json()>& make);

}  // namespace popalign::app
