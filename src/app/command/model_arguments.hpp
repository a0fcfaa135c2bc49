#pragma once

#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>

#include <cstddef>
#include <string>

namespace CLI {
class App;
}
namespace popalign::lm {
class CausalLm;
class TrainableLm;
}  // namespace popalign::lm

namespace popalign::app {

/// Division of the ranks into groups that each hold the model once.
struct RankGroups {
    comm::Communicator group;  ///< group of this rank
    int index = 0, count = 1;

    /// Returns whether this rank is the first of its group, which acts for the group.
    bool leads() const { return group.is_root(); }
    /// Returns this group's share of `rows`.
    Range share(std::size_t rows) const { return partition(rows, index, count); }
};

/// Command line options for the model of a command without a config file.
struct ModelArguments {
    std::string path, chat_template, dtype = "float32", device = "auto";
    int tensor_parallel = 1;

    void add_to(CLI::App& parser);
    void add_tensor_parallel_to(CLI::App& parser);
    /// Collective.
    RankGroups groups(const comm::Communicator& comm) const;
    lm::ModelFrontEnd load_front_end() const;
    /// Loads the model for inference. Collective.
    lm::CausalLm load(const comm::Communicator& comm, const RankGroups& groups = {}) const;
    /// Loads the model for training, on the device of `local_rank`.
    lm::TrainableLm load_trainable(int local_rank) const;
};

}  // namespace popalign::app
