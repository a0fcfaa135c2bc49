#include "lm/engine/tensor_parallel_model.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/engine/model_ranks.hpp>

#include <fmt/format.h>

#include <optional>

namespace popalign::lm {

ModelRanks::ModelRanks(const comm::Communicator& world, std::int64_t tensor_parallel)
    : world_(world), node_(world.split_node()) {
    comm::run_on_all(world, [&] {
        if (tensor_parallel < 1 || node_.size() % tensor_parallel != 0)
            throw UsageError(
                fmt::format("the {} ranks of a node cannot be divided into groups of "
                            "{}; change tensor_parallel or the ranks a node",
                            node_.size(), tensor_parallel));
    });
    group_ = node_.split(node_.rank() / static_cast<int>(tensor_parallel));
    node_leaders_ = node_.split(group_.is_root() ? 0 : 1);
    leaders_ = world.split(group_.is_root() ? 0 : 1);
}

ExitStatus ModelRanks::run(const std::function<ExitStatus()>& stage) const {
    if (group_.size() == 1)
        return stage();
    std::optional<Error> failure;
    int status = 0;
    if (group_.is_root()) {
        try {
            status = static_cast<int>(stage());
        } catch (const comm::AgreedError& error) {  // of all leaders
            failure = error;
        }
        release_followers(*this);
    } else {
        serve_as_follower(*this);
    }
    comm::agree_on_failure(world_, failure);
    comm::broadcast(world_, std::span(&status, 1));
    return static_cast<ExitStatus>(status);
}

}  // namespace popalign::lm
