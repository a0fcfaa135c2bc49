#include <popalign/base/error.hpp>
#include <popalign/preference/options/train_options.hpp>

#include <fmt/format.h>

#include <string_view>

namespace popalign::preference {

void MachineDescription::validate() const {
    if (nodes == 0)
        return;
    const auto require = [](bool holds, std::string_view key) {
        if (!holds)
            throw UsageError(fmt::format("train.machine.{}: must be positive", key));
    };
    require(nodes > 0 && nodes <= 1'000'000, "nodes");
    require(ranks_per_node > 0 && ranks_per_node <= 1024, "ranks_per_node");
    require(teraflops > 0, "teraflops");
    require(efficiency > 0 && efficiency <= 1, "efficiency");
    require(memory_gigabytes > 0, "memory_gigabytes");
    require(memory_gigabytes_per_second > 0, "memory_gigabytes_per_second");
    require(ranks_per_node == 1 || node_gigabytes_per_second > 0, "node_gigabytes_per_second");
    require(nodes == 1 || network_gigabytes_per_second > 0, "network_gigabytes_per_second");
}

}  // namespace popalign::preference
