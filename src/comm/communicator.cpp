#include "comm/native.hpp"

#include <popalign/base/error.hpp>

#include <algorithm>
#include <array>

namespace popalign::comm {
namespace {

Communicator adopt(MPI_Comm handle) {
    auto native = std::make_shared<const Communicator::Native>(
        handle, Communicator::Native::Ownership::owned);
    int rank = 0, size = 1;
    check_mpi(MPI_Comm_rank(handle, &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(handle, &size), "MPI_Comm_size");
    return {std::move(native), rank, size};
}

}  // namespace

Communicator::Native::~Native() {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (ownership_ == Ownership::owned && finalized == 0)
        MPI_Comm_free(&handle);
}

MPI_Comm native_handle(const Communicator& comm) noexcept {
    return comm.native() != nullptr ? comm.native()->handle : MPI_COMM_SELF;
}

void check_mpi(int code, std::string_view call, std::source_location where) {
    if (code == MPI_SUCCESS)
        return;
    std::array<char, MPI_MAX_ERROR_STRING> text{};
    int length = 0;
    MPI_Error_string(code, text.data(), &length);
    throw_call_failed(call, {text.data(), static_cast<std::size_t>(length)}, where);
}

Communicator Communicator::split(int color) const {
    if (native_ == nullptr)
        return {};
    MPI_Comm part = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(native_->handle, color, rank_, &part), "MPI_Comm_split");
    return adopt(part);
}

Communicator Communicator::split_node() const {
    if (native_ == nullptr)
        return {};
    MPI_Comm part = MPI_COMM_NULL;
    check_mpi(
        MPI_Comm_split_type(native_->handle, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &part),
        "MPI_Comm_split_type");
    return adopt(part);
}

}  // namespace popalign::comm
