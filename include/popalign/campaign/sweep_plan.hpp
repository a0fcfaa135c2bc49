#pragma once

#include <popalign/campaign/sweep_options.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::campaign {

/// Which pairs of a pair file a run is trained on.
struct Mix {
    std::string name;                     ///< e.g. "prefix+refine", "all", "prefix 0.5, refine 0.5"
    std::vector<std::string> designs;     ///< all that ask for it
    std::vector<std::string> strategies;  ///< in the config's order
    std::map<std::string, double> proportions;  ///< of one pair an instruction; empty: every pair
};

/// The mixes of all designs, each once, in the order of first mention. Throws UsageError for an
/// unknown design or strategy.
std::vector<Mix> make_mixes(const SweepOptions& options,
                            const std::vector<std::string>& strategies);

/// What a sweep makes: pairs (with verdicts and reference log-probabilities), evaluations of the
/// base model, and runs. Pairs and base evaluations are shared by all runs they hold for.
enum class SweepPart { data, base, run };

struct SweepUnit {
    SweepPart part;
    std::string name;                    ///< "<part>/<key>": its directory, its name for --only
    std::vector<std::string> overrides;  ///< KEY.PATH=VALUE, after those of the command line
    std::string data;                    ///< unit whose pair file it uses (run: for training)
    std::string base;                    ///< run: the evaluation it is compared with
    std::string reference;  ///< run: the base part that made its pairs' reference values
    // What tells runs apart, for tables.
    Mix mix;
    std::int64_t size = 0;   ///< training instructions; 0: all
    std::int64_t draws = 1;  ///< of each strategy
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

/// All that determines a part under these overrides, as text; its hash names the part.
using Determinants =
    std::function<std::string(SweepPart part, const std::vector<std::string>& overrides)>;

/// Every combination of factors, mixes (and controls), sizes and seeds; equal runs once. Two sweeps
/// that agree on what determines a run agree on its name.
SweepPlan make_sweep_plan(const SweepOptions& options, const std::vector<NamedStrategy>& strategies,
                          const Determinants& determinants);

/// A batch job or job array: one task a unit.
struct SweepJob {
    std::string name;
    std::vector<std::string> units;
    std::vector<std::string> after;  ///< names of jobs that must have succeeded
};

/// Pairs, then base evaluations, then runs in arrays of at most `max_array_size` tasks; each waits
/// only for what its runs use.
std::vector<SweepJob> make_sweep_jobs(const SweepPlan& plan, std::size_t max_array_size);

}  // namespace popalign::campaign
