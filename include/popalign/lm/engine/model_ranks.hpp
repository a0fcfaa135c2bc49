#pragma once

#include <popalign/base/error.hpp>
#include <popalign/comm/communicator.hpp>

#include <cstdint>
#include <functional>

namespace popalign::lm {

/// The ranks that a stage's models work on: `tensor_parallel` neighbours of a node hold a model
/// together. The stage itself runs on the first of each group alone; the others follow: they do
/// with their slices what their leader does with its own. A small copyable value.
class ModelRanks {
  public:
    /// One rank.
    ModelRanks() = default;
    /// Throws UsageError if a node's ranks cannot be divided so. Collective.
    ModelRanks(const comm::Communicator& world, std::int64_t tensor_parallel);

    const comm::Communicator& leaders() const noexcept { return leaders_; }
    const comm::Communicator& node_leaders() const noexcept { return node_leaders_; }
    /// All ranks of this node, followers too: they share its memory.
    const comm::Communicator& node() const noexcept { return node_; }
    const comm::Communicator& group() const noexcept { return group_; }

    /// `stage()` on the leaders, its status or error on all. Collective.
    ExitStatus run(const std::function<ExitStatus()>& stage) const;

  private:
    comm::Communicator world_, leaders_, node_, node_leaders_, group_;
};

}  // namespace popalign::lm
