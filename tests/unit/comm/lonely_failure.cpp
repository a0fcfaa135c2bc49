// One rank throws while the other waits in a collective.
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>

int main(int argc, char** argv) {
    using namespace popalign;
    return comm::run_program(argc, argv, [](const comm::Communicator& comm) {
        if (comm.rank() == 1)
            throw Error("rank 1 gives up");
        barrier(comm);
        return ExitStatus::done;
    });
}
