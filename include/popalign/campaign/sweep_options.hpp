#pragma once

#include <popalign/base/config.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::campaign {

/// Any config key and the values it takes, as YAML.
struct FactorOptions {
    std::string key;
    std::vector<std::string> values;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("key", key, "the config key, as train.objective or models.student.path",
                Presence::required);
        v.field("values", values, "its values, each as YAML", Presence::required);
    }
};

/// The control for "variety, not size": one strategy, drawn afresh several times.
struct ControlOptions {
    std::string strategy;
    std::int64_t draws = 2;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("strategy", strategy, "one of `strategies`", Presence::required);
        v.field("draws", draws, "fresh pairs of each instruction");
    }
};

/// The section `sweep` of a config: which runs there are. All other sections are what they share.
struct SweepOptions {
    std::vector<std::string> mixes{"all"};
    std::int64_t lattice_degree = 2;
    std::vector<std::int64_t> sizes;
    std::vector<std::uint64_t> seeds{0};
    std::vector<ControlOptions> controls;
    std::vector<FactorOptions> factors;
    std::vector<std::string> evaluations{"preference"};
    bool judge = true, keep_models = true;
    double flops_per_core = 5e10;
    std::int64_t max_array_size = 0, max_running = 0;
    std::string scripts = "slurm";

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("mixes", mixes,
                "designs: all, single, cumulative, leave_one_out, subsets, lattice; or a mix, as "
                "prefix+refine");
        v.field("lattice_degree", lattice_degree,
                "lattice: proportions in steps of one part of so many, one pair an instruction");
        v.field("sizes", sizes, "training instructions, each set within the larger; empty: all");
        v.field("seeds", seeds, "run.seed of training; the pairs keep the config's");
        v.field("controls", controls, "one strategy with several draws, beside the mixes");
        v.field("factors", factors, "further keys; every combination is run");
        v.field("evaluations", evaluations, "preference, win-rate: after each run");
        v.field("judge", judge, "also judge the pairs, once");
        v.field("keep_models", keep_models,
                "false: a run's model and checkpoints go once it is evaluated");
        v.field("flops_per_core", flops_per_core,
                "what a core (or GPU) does [FLOP/s], for the estimate of --plan");
        v.field("max_array_size", max_array_size, "of job arrays; 0: what Slurm says");
        v.field("max_running", max_running, "tasks of an array at once; 0: no limit");
        v.field("scripts", scripts, "where submit_sweep.sh and sweep.sbatch are");
    }
    /// Throws UsageError naming the key.
    void validate() const;
};

}  // namespace popalign::campaign
