#pragma once

#include <popalign/campaign/sweep_options.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::campaign {

/// Selection of a pair file's pairs for training.
struct Mix {
    std::string name;                     ///< e.g. "prefix+refine", "all", "prefix 0.5, refine 0.5"
    std::vector<std::string> designs;     ///< all designs that contain this mix
    std::vector<std::string> strategies;  ///< in the config's order
    std::map<std::string, double>
        proportions;  ///< shares of strategies at one pair per instruction; empty: every pair
};

/// Returns the mixes of all designs, each once, in the order of first mention. Throws UsageError
/// for an unknown design or strategy.
std::vector<Mix> make_mixes(const SweepOptions& options,
                            const std::vector<std::string>& strategies);

/// Kind of a sweep's unit: pairs (with verdicts and reference log-probabilities), an evaluation of
/// the base model, or a run. Runs share pairs and base evaluations where they apply.
enum class SweepPart { data, base, run };

struct SweepUnit {
    SweepPart part;
    std::string name;                    ///< "<part>/<key>": directory, and name for --only
    std::vector<std::string> overrides;  ///< KEY.PATH=VALUE, applied after the command line's
    std::string data;                    ///< unit whose pair file is used (run: for training)
    std::string base;                    ///< run: base evaluation to compare with
    std::string reference;  ///< run: the base part that made its pairs' reference values
    // The remaining members distinguish runs in tables.
    Mix mix;
    std::int64_t size = 0;   ///< training instructions; 0: all
    std::int64_t draws = 1;  ///< per strategy
    std::uint64_t seed = 0;
    std::map<std::string, std::string> factors;
};

struct SweepPlan {
    std::vector<SweepUnit> data, bases, runs;

    const SweepUnit& find(const std::string& name) const;  ///< throws UsageError
};

/// A strategy of the config and its entry as YAML.
struct NamedStrategy {
    std::string name, yaml;
};

/// Returns everything that determines a unit under these overrides, as text. The unit's name holds
/// the text's hash.
using Determinants =
    std::function<std::string(SweepPart part, const std::vector<std::string>& overrides)>;

/// Plans every combination of factors, mixes (and controls), sizes and seeds; equal runs once. A
/// run has the same name in every sweep with the same determinants.
SweepPlan make_sweep_plan(const SweepOptions& options, const std::vector<NamedStrategy>& strategies,
                          const Determinants& determinants);

/// A batch job or job array; each unit is one task.
struct SweepJob {
    std::string name;
    std::vector<std::string> units;
    std::vector<std::string> after;  ///< names of jobs that must have succeeded
};

/// Makes jobs for pairs, then base evaluations, then runs, in arrays of at most `max_array_size`
/// tasks. A job waits only for the jobs whose results its units use.
std::vector<SweepJob> make_sweep_jobs(const SweepPlan& plan, std::size_t max_array_size);

}  // namespace popalign::campaign
