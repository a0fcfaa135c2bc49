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

/// How the ranks are divided into groups that each hold the model once.
struct RankGroups {
    comm::Communicator group;  ///< this rank's
    int index = 0, count = 1;

    /// The first rank of a group speaks for it.
    bool leads() const { return group.is_root(); }
    /// This group's share of `rows`.
    Range share(std::size_t rows) const { return partition(rows, index, count); }
};

/// The model of a command that needs no config file.
struct ModelArguments {
    std::string path, chat_template, dtype = "float32", device = "auto";
    int tensor_parallel = 1;

    void add_to(CLI::App& parser);
    void add_tensor_parallel_to(CLI::App& parser);
    /// Collective.
    RankGroups groups(const comm::Communicator& comm) const;
    lm::ModelFrontEnd load_front_end() const;
    /// For inference. Collective.
    lm::CausalLm load(const comm::Communicator& comm, const RankGroups& groups = {}) const;
    /// For training, on the device of `local_rank`.
    lm::TrainableLm load_trainable(int local_rank) const;
};

}  // namespace popalign::app
