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

/// An error that all ranks of a communicator know of and leave with together; `what()` is the
/// message of the lowest rank that failed.
class AgreedError : public Error {
  public:
    AgreedError(int rank, int ranks, const std::string& message, ExitStatus status);
    int rank() const noexcept { return rank_; }

  private:
    int rank_;
};

/// The whole life of an MPI program: starts MPI, runs `body` on the world, ends MPI. An agreed
/// error ends all ranks with its status and one message; any other exception is printed with its
/// rank and aborts the job. Without a launcher the world has one rank.
int run_program(int& argc, char**& argv,
                const std::function<ExitStatus(const Communicator&)>& body);

/// Ends the job on all ranks at once, for what leaves them no way to agree.
[[noreturn]] void abort_job(const Communicator& comm, std::string_view message,
                            ExitStatus status = ExitStatus::failed);

/// Throws AgreedError on all ranks if any gave a message. Collective.
void agree_on_failure(const Communicator& comm, const std::optional<Error>& mine);

/// Runs `work` on every rank; if it throws on any, AgreedError is thrown on all. For whatever can
/// fail on one rank while others would wait in a collective. `work` itself must call none on
/// `comm`. Collective.
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

/// Whether any rank's deadline is reached, the same answer on all. Collective.
bool agree_to_stop(const Communicator& comm, const Deadline& deadline);

}  // namespace popalign::comm
