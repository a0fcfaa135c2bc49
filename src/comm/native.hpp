#pragma once

#include <popalign/comm/communicator.hpp>

#include <mpi.h>

#include <source_location>
#include <string_view>

namespace popalign::comm {

struct Communicator::Native {
    enum class Ownership { borrowed, owned };

    Native(MPI_Comm comm, Ownership ownership) : handle(comm), ownership_(ownership) {}
    Native(const Native&) = delete;
    Native& operator=(const Native&) = delete;
    ~Native();

    MPI_Comm handle;

  private:
    Ownership ownership_;
};

/// The MPI communicator behind `comm`; MPI_COMM_SELF for a serial one, valid only while MPI runs.
MPI_Comm native_handle(const Communicator& comm) noexcept;

/// Throws Error with MPI's text if `code` is not MPI_SUCCESS.
void check_mpi(int code, std::string_view call,
               std::source_location where = std::source_location::current());

}  // namespace popalign::comm
