#pragma once

#include <cstdint>

namespace popalign::preference {

/// A machine that is not this one, for `train --plan`.
struct MachineDescription {
    std::int64_t nodes = 0;
    std::int64_t ranks_per_node = 1;
    double teraflops = 0;
    double efficiency = 0.4;
    double memory_gigabytes = 0;
    double memory_gigabytes_per_second = 0;
    double node_gigabytes_per_second = 0;
    double network_gigabytes_per_second = 0;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("nodes", nodes, "0: this machine, which is measured");
        v.field("ranks_per_node", ranks_per_node, "a GPU each");
        v.field("teraflops", teraflops,
                "peak of one rank in the type that is computed in; where it is given, training "
                "logs perf/mfu");
        v.field("efficiency", efficiency, "part of the peak that training reaches");
        v.field("memory_gigabytes", memory_gigabytes, "of one rank");
        v.field("memory_gigabytes_per_second", memory_gigabytes_per_second,
                "how fast one rank reads and writes its memory");
        v.field("node_gigabytes_per_second", node_gigabytes_per_second,
                "between two ranks of a node, one way");
        v.field("network_gigabytes_per_second", network_gigabytes_per_second,
                "between two nodes, one way, of all their ranks together");
    }
    /// Throws UsageError naming the key.
    void validate() const;
};

}  // namespace popalign::preference
