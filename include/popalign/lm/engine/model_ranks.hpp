#pragma once

#include <popalign/base/error.hpp>
#include <popalign/comm/communicator.hpp>

#include <cstdint>
#include <functional>

namespace popalign::lm {

/// Ranks on which a stage's models run: groups of `tensor_parallel` neighbouring ranks of a node
/// hold one model together. The stage itself runs only on the first rank of each group, its leader.
/// The other ranks follow: they repeat the leader's operations on their own slices. A small
/// copyable value.
class ModelRanks {
  public:
    /// A single rank.
    ModelRanks() = default;
    /// Throws UsageError if the ranks of a node cannot be divided into such groups. Collective.
    ModelRanks(const comm::Communicator& world, std::int64_t tensor_parallel);

    const comm::Communicator& leaders() const noexcept { return leaders_; }
    const comm::Communicator& node_leaders() const noexcept { return node_leaders_; }
    /// All ranks of this node, with the followers, because they share its memory.
    const comm::Communicator& node() const noexcept { return node_; }
    const comm::Communicator& group() const noexcept { return group_; }

    /// Runs `stage()` on the leaders. Returns its status, or throws its error, on all ranks.
    /// Collective.
    ExitStatus run(const std::function<ExitStatus()>& stage) const;

  private:
    comm::Communicator world_, leaders_, node_, node_leaders_, group_;
};

}  // namespace popalign::lm
