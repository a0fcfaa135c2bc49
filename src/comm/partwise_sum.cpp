#include "comm/native.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/partwise_sum.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

namespace popalign::comm {
namespace {

int count_of(std::size_t size) {
    if (size > static_cast<std::size_t>(std::numeric_limits<int>::max()))
        throw Error("a part of more than 2^31 elements cannot be sent; use smaller buckets");
    return static_cast<int>(size);
}

/// Each kind of step has a communicator of its own, on which all ranks begin in the same order.
enum Kind : std::size_t { add_in_node, add_across, spread_across, spread_in_node, kinds };
using Flags = std::array<bool, kinds>;

/// One step of an operation: begun, awaited, completed.
struct Step {
    Kind kind;
    std::function<MPI_Request()> begin;
    std::function<void()> complete;
};

/// Steps of one buffer, one after the other.
class Operation {
  public:
    explicit Operation(std::vector<Step> steps) : steps_(std::move(steps)) {}

    bool done() const noexcept { return at_ == steps_.size(); }

    /// Goes on until a step is not done yet, or not to begin: those in `blocked` wait for an
    /// earlier operation. With `wait`, stays until all are done.
    void advance(const Flags& blocked, bool wait) {
        while (!done()) {
            if (request_ == MPI_REQUEST_NULL) {
                if (blocked[steps_[at_].kind])
                    return;
                request_ = steps_[at_].begin();
            }
            int finished = 1;
            if (wait)
                check_mpi(MPI_Wait(&request_, MPI_STATUS_IGNORE), "MPI_Wait");
            else
                check_mpi(MPI_Test(&request_, &finished, MPI_STATUS_IGNORE), "MPI_Test");
            if (finished == 0)
                return;
            request_ = MPI_REQUEST_NULL;
            steps_[at_].complete();
            ++at_;
        }
    }
    /// Adds the kinds of the steps that have not begun.
    void block(Flags& blocked) const {
        for (std::size_t i = at_ + (request_ != MPI_REQUEST_NULL ? 1 : 0); i < steps_.size(); ++i)
            blocked[steps_[i].kind] = true;
    }

  private:
    std::vector<Step> steps_;
    std::size_t at_ = 0;
    MPI_Request request_ = MPI_REQUEST_NULL;
};

template <class T>
MPI_Datatype datatype();
template <>
MPI_Datatype datatype<float>() {
    return MPI_FLOAT;
}
template <>
MPI_Datatype datatype<double>() {
    return MPI_DOUBLE;
}

/// Every rank of `comm` gets its part of `whole` from all others and adds them up.
template <class T>
Step add_step(Kind kind, const Communicator& comm, std::span<T> whole) {
    const std::size_t part = whole.size() / static_cast<std::size_t>(comm.size());
    const auto received = std::make_shared<std::vector<T>>();
    return {kind,
            [=] {
                received->resize(whole.size());
                MPI_Request request = MPI_REQUEST_NULL;
                check_mpi(
                    MPI_Ialltoall(whole.data(), count_of(part), datatype<T>(), received->data(),
                                  count_of(part), datatype<T>(), native_handle(comm), &request),
                    "MPI_Ialltoall");
                return request;
            },
            [=] {
                T* const sum = whole.data() + static_cast<std::size_t>(comm.rank()) * part;
                std::copy_n(received->data(), part, sum);
                for (std::size_t rank = 1; rank < static_cast<std::size_t>(comm.size()); ++rank)
                    for (std::size_t i = 0; i < part; ++i)
                        sum[i] += (*received)[rank * part + i];
                received->clear();
                received->shrink_to_fit();
            }};
}

Step spread_step(Kind kind, const Communicator& comm, std::span<std::byte> whole) {
    const std::size_t part = whole.size() / static_cast<std::size_t>(comm.size());
    return {kind,
            [=] {
                MPI_Request request = MPI_REQUEST_NULL;
                check_mpi(MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, whole.data(),
                                         count_of(part), MPI_BYTE, native_handle(comm), &request),
                          "MPI_Iallgather");
                return request;
            },
            [] {}};
}

}  // namespace

struct PartwiseSum::State {
    std::array<Communicator, kinds> comms;  ///< a serial one takes no step
    int parts = 1, part = 0;
    std::deque<Operation> operations;

    const Communicator& node() const noexcept { return comms[add_in_node]; }

    /// The parts that one of the node's ranks is responsible for lie together.
    template <class T>
    std::span<T> chunk(std::span<T> whole) const {
        const std::size_t size = whole.size() / static_cast<std::size_t>(node().size());
        return whole.subspan(static_cast<std::size_t>(node().rank()) * size, size);
    }
    template <class T>
    void add_steps(std::vector<Step>& steps, std::span<T> buffer) const {
        if (node().size() > 1)
            steps.push_back(add_step(add_in_node, comms[add_in_node], buffer));
        if (comms[add_across].size() > 1)
            steps.push_back(add_step(add_across, comms[add_across], chunk(buffer)));
    }
    void spread_steps(std::vector<Step>& steps, std::span<std::byte> buffer) const {
        if (comms[spread_across].size() > 1)
            steps.push_back(spread_step(spread_across, comms[spread_across], chunk(buffer)));
        if (node().size() > 1)
            steps.push_back(spread_step(spread_in_node, comms[spread_in_node], buffer));
    }
    template <class T>
    void begin(std::span<T> buffer, PartwiseSum::Result result) {
        std::vector<Step> steps;
        add_steps(steps, buffer);
        if (result == PartwiseSum::Result::on_all)
            spread_steps(steps, std::as_writable_bytes(buffer));
        operations.emplace_back(std::move(steps));
        progress();
    }
    void progress() {
        Flags blocked{};
        for (Operation& operation : operations) {
            operation.advance(blocked, false);
            operation.block(blocked);
        }
        while (!operations.empty() && operations.front().done())
            operations.pop_front();
    }
};

PartwiseSum::PartwiseSum(const Communicator& comm, const Communicator& node)
    : state_(std::make_unique<State>()) {
    const auto sizes = all_gather<std::int32_t>(comm, node.size());
    const bool equal = std::ranges::all_of(sizes, [&](auto size) { return size == sizes[0]; });
    auto& comms = state_->comms;
    for (const Kind kind : {add_in_node, spread_in_node})
        comms[kind] = equal ? node.split(0) : Communicator();
    for (const Kind kind : {add_across, spread_across})
        comms[kind] = equal ? comm.split(node.rank()) : comm.split(0);
    state_->parts = comm.size();
    state_->part = comms[add_in_node].rank() * comms[add_across].size() + comms[add_across].rank();
}
PartwiseSum::PartwiseSum(PartwiseSum&&) noexcept = default;
PartwiseSum& PartwiseSum::operator=(PartwiseSum&&) noexcept = default;
PartwiseSum::~PartwiseSum() = default;

int PartwiseSum::parts() const noexcept {
    return state_->parts;
}
int PartwiseSum::part() const noexcept {
    return state_->part;
}
void PartwiseSum::add(std::span<float> buffer, Result result) {
    state_->begin(buffer, result);
}
void PartwiseSum::add(std::span<double> buffer, Result result) {
    state_->begin(buffer, result);
}
void PartwiseSum::spread(std::span<std::byte> buffer) {
    std::vector<Step> steps;
    state_->spread_steps(steps, buffer);
    state_->operations.emplace_back(std::move(steps));
    state_->progress();
}
std::size_t PartwiseSum::progress() {
    state_->progress();
    return state_->operations.size();
}
void PartwiseSum::finish() {
    for (; !state_->operations.empty(); state_->operations.pop_front())
        state_->operations.front().advance({}, true);
}

}  // namespace popalign::comm
