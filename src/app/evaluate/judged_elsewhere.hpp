#pragma once

#include "app/command/command.hpp"

#include <popalign/evaluation/benchmark.hpp>

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <memory>

namespace popalign::app {

/// Judgements made elsewhere, scored by a benchmark's command without running models.
class JudgedElsewhere {
  public:
    virtual ~JudgedElsewhere() = default;

    /// Returns whether the command line names any.
    virtual bool is_given() const = 0;
    /// Returns the scores by model, in the form of the contract. Data are read from the folder
    /// `named`, or, if it is empty, from `fetched`, which may be absent. Throws UsageError or
    /// InputError.
    virtual nlohmann::ordered_json scores(const CommandContext& context,
                                          const std::filesystem::path& named,
                                          const std::filesystem::path& fetched) const = 0;
};

/// Adds the options of a scoring to a benchmark's command; null for a scoring that has none.
std::unique_ptr<JudgedElsewhere> make_judged_elsewhere(evaluation::Scoring scoring,
                                                       CLI::App& parser);

}  // namespace popalign::app
