// The main of every test program: starts MPI, prints failures of all ranks with their rank, and
// makes the verdict one of all ranks.
#include "support/world.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>

namespace popalign::test {
namespace {

std::unique_ptr<comm::Communicator> current_world;

/// On ranks other than 0: only failures, with the rank.
class FailurePrinter : public ::testing::EmptyTestEventListener {
  public:
    explicit FailurePrinter(int rank) : rank_(rank) {}

    void OnTestPartResult(const ::testing::TestPartResult& result) override {
        if (result.failed()) {
            const std::string line = "[rank " + std::to_string(rank_) + "] " +
                                     (result.file_name() != nullptr ? result.file_name() : "") +
                                     ":" + std::to_string(result.line_number()) + ": " +
                                     result.message() + "\n";
            std::fwrite(line.data(), 1, line.size(), stderr);
        }
    }

  private:
    int rank_;
};

}  // namespace

const comm::Communicator& world() {
    return *current_world;
}

}  // namespace popalign::test

int main(int argc, char** argv) {
    using namespace popalign;
    return comm::run_program(argc, argv, [&](const comm::Communicator& comm) {
        test::current_world = std::make_unique<comm::Communicator>(comm);
        ::testing::InitGoogleTest(&argc, argv);
        if (comm.rank() != 0) {
            auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
            delete listeners.Release(listeners.default_result_printer());
            listeners.Append(new test::FailurePrinter(comm.rank()));
        }
        const bool failed = RUN_ALL_TESTS() != 0;
        const auto ran = ::testing::UnitTest::GetInstance()->test_to_run_count();
        const int verdict = comm::all_reduce<std::int32_t>(comm, failed || ran == 0 ? 1 : 0,
                                                           comm::Reduction::maximum);
        if (comm.is_root() && ran == 0)
            std::fputs("no test ran, which counts as a failure\n", stderr);
        test::current_world.reset();
        return verdict == 0 ? ExitStatus::done : ExitStatus::failed;
    });
}
