#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/base/error.hpp>
#include <popalign/comm/communicator.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace popalign::comm {

/// Error that all ranks of a communicator throw together. `what()` is the message of the lowest
/// rank that failed.
class AgreedError : public Error {
  public:
    AgreedError(int rank, int ranks, const std::string& message, ExitStatus status);
    int rank() const noexcept { return rank_; }

  private:
    int rank_;
};

/// Starts MPI, runs `body` on the world communicator and ends MPI. Returns the exit status. An
/// AgreedError ends all ranks with its status and one message; any other exception is printed with
/// its rank and aborts the job. Without a launcher the world has one rank.
int run_program(int& argc, char**& argv,
                const std::function<ExitStatus(const Communicator&)>& body);

/// Aborts the job on all ranks, for errors on which the ranks cannot agree.
[[noreturn]] void abort_job(const Communicator& comm, std::string_view message,
                            ExitStatus status = ExitStatus::failed);

/// Throws AgreedError on all ranks if any rank passes an error. Collective.
void agree_on_failure(const Communicator& comm, const std::optional<Error>& mine);

/// Runs `work` on every rank; if it throws on any rank, all ranks throw AgreedError. Use it for
/// work that can fail on one rank while others would wait in a collective. `work` must not call
/// collectives on `comm`. Collective.
template <class Work>
auto run_on_all(const Communicator& comm, Work&& work) {
    std::optional<Error> failure;
    const auto attempt = [&](auto&& body) {
        try {
            body();
        } catch (const Error& error) {
            failure = error;
        } catch (const std::exception& error) {
            failure = Error(error.what());
        }
        agree_on_failure(comm, failure);
    };
    if constexpr (std::is_void_v<std::invoke_result_t<Work>>) {
        attempt([&] { work(); });
    } else {
        std::optional<std::invoke_result_t<Work>> result;
        attempt([&] { result.emplace(work()); });
        return std::move(*result);
    }
}

/// Returns on all ranks whether the deadline of any rank is reached. Collective.
bool agree_to_stop(const Communicator& comm, const Deadline& deadline);

}  // namespace popalign::comm
