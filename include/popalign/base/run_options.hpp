#pragma once

#include <popalign/base/config.hpp>

#include <cstdint>
#include <string>

namespace popalign {

/// The section `run` of a config, shared by all commands of one run.
struct RunOptions {
    std::string name = "run";
    std::string directory = "runs/run";
    std::string pairs;  ///< empty: in `directory`
    std::uint64_t seed = 0;
    std::string device = "auto";
    std::int64_t time_limit = 0;
    std::int64_t tensor_parallel = 1;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("name", name, "name of the run, for people", Effect::speed);
        v.field("directory", directory, "folder for all outputs of the run", Effect::speed);
        v.field("pairs", pairs, "pair file, if runs share one; empty: pairs.h5 in `directory`",
                Effect::file);
        v.field("seed", seed, "seeds every random draw");
        v.field("device", device, "device for models: auto, cpu or cuda", Effect::speed);
        v.field("time_limit", time_limit,
                "stop and save after this long [s]; 0: at the Slurm job's end or a signal only",
                Effect::speed);
        v.field("tensor_parallel", tensor_parallel,
                "ranks of a node that hold a model together in synthesize, judge and evaluate "
                "win-rate",
                Effect::speed);
    }
};

}  // namespace popalign
