#include "app/command/command.hpp"
#include "app/command_line.hpp"

#include <popalign/comm/run.hpp>

#include <malloc.h>

namespace {

/// Tensors of many megabytes come and go in every step; by default glibc maps and unmaps each of
/// them, and the kernel clears their pages again and again.
void keep_large_buffers() {
    constexpr int gibibyte = 1 << 30;
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, gibibyte);
    mallopt(M_ARENA_MAX, 2);
}

}  // namespace

int main(int argc, char** argv) {
    if (const auto status = popalign::app::doctor_before_mpi(argc, argv))
        return *status;
    keep_large_buffers();
    return popalign::comm::run_program(argc, argv, [&](const popalign::comm::Communicator& comm) {
        return popalign::app::run_command_line(comm, argc, argv);
    });
}
