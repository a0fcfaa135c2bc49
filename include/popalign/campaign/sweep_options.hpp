#pragma once

#include <popalign/base/config.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::campaign {

/// A config key and the values that a sweep gives it.
struct FactorOptions {
    std::string key;
    std::vector<std::string> values;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("key", key, "config key, e.g. train.objective or models.student.path",
                Presence::required);
        v.field("values", values, "values of the key, each as YAML", Presence::required);
    }
};

/// Control that separates the effect of variety from that of size: one strategy with several fresh
/// draws.
struct ControlOptions {
    std::string strategy;
    std::int64_t draws = 2;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("strategy", strategy, "an entry of `strategies`", Presence::required);
        v.field("draws", draws, "fresh pairs per instruction");
    }
};

/// The section `sweep` of a config: defines the runs. The runs share all other sections.
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
                "design lattice: proportions are multiples of 1 / this; one pair per instruction");
        v.field(
            "sizes", sizes,
            "numbers of training instructions; a smaller set is part of a larger one; empty: all");
        v.field("seeds", seeds,
                "values of run.seed for training; pairs are made with the config's run.seed");
        v.field("controls", controls, "runs of one strategy with several draws, beside the mixes");
        v.field("factors", factors, "further keys and their values; every combination is run");
        v.field("evaluations", evaluations, "evaluations after each run: preference, win-rate");
        v.field("judge", judge, "true: judge the pairs, once for all runs");
        v.field("keep_models", keep_models,
                "false: delete a run's model and checkpoints after its evaluation", Effect::speed);
        v.field("flops_per_core", flops_per_core,
                "speed of a core (or GPU) [FLOP/s], for the estimate of --plan", Effect::speed);
        v.field("max_array_size", max_array_size, "most tasks of a job array; 0: Slurm's limit",
                Effect::speed);
        v.field("max_running", max_running, "most tasks of an array that run at once; 0: no limit",
                Effect::speed);
        v.field("scripts", scripts, "folder of submit_sweep.sh and sweep.sbatch", Effect::speed);
    }
    /// Throws UsageError naming the key.
    void validate() const;
};

}  // namespace popalign::campaign
