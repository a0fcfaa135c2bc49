#pragma once

#include <cstdint>
#include <string>

namespace popalign {

/// What all commands of one run share.
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
        v.field("name", name, "what people call the run");
        v.field("directory", directory, "where everything it makes goes");
        v.field("pairs", pairs,
                "the pair file, where runs share one; empty: pairs.h5 in `directory`");
        v.field("seed", seed, "of every random draw");
        v.field("device", device, "auto, cpu or cuda");
        v.field("time_limit", time_limit,
                "stop and save after this long [s]; 0: at the Slurm job's end or a signal only");
        v.field("tensor_parallel", tensor_parallel,
                "ranks of a node that hold a model together in synthesize, judge and evaluate "
                "win-rate");
    }
};

}  // namespace popalign
