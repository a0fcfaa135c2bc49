#pragma once

#include "app/command/command.hpp"

#include <popalign/evaluation/benchmark.hpp>

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <memory>

namespace popalign::app {

/// Judgements that were made elsewhere, which the command of a benchmark scores alone.
class JudgedElsewhere {
  public:
    virtual ~JudgedElsewhere() = default;

    /// Whether the command line names any.
    virtual bool is_given() const = 0;
    /// The scores by model, as the contract has them. Data are read from the folder `named`, or,
    /// if it is empty, from `fetched`, which may be absent. Throws UsageError or InputError.
    virtual nlohmann::ordered_json scores(const CommandContext& context,
                                          const std::filesystem::path& named,
                                          const std::filesystem::path& fetched) const = 0;
};

/// Adds the options of a scoring to a benchmark's command; null for a scoring that has none.
std::unique_ptr<JudgedElsewhere> make_judged_elsewhere(evaluation::Scoring scoring,
                                                       CLI::App& parser);

}  // namespace popalign::app
