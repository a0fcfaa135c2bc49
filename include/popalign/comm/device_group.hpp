#pragma once

#include <popalign/comm/communicator.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace popalign::comm {

enum class DeviceElement { float32, float64, bfloat16 };

/// Collectives on device memory among the ranks of a communicator, by NCCL; its id travels over
/// MPI. Operations are queued on `stream` (a cudaStream_t) and are complete when that stream is.
/// A build without NCCL has the same class, whose constructor throws Error and says so.
class DeviceGroup {
  public:
    /// Whether this build has NCCL.
    static bool available() noexcept;
    /// The NCCL version loaded, e.g. "2.30.3"; empty without NCCL.
    static std::string library_version();
    /// The one it was compiled with.
    static std::string compiled_version();

    /// Uses the calling thread's current CUDA device. Collective.
    explicit DeviceGroup(const Communicator& comm);
    DeviceGroup(DeviceGroup&&) noexcept;
    DeviceGroup& operator=(DeviceGroup&&) noexcept;
    /// Aborts outstanding work: the normal way out is `close()`.
    ~DeviceGroup();

    /// In place, summed over ranks.
    void all_reduce_sum(void* data, std::size_t count, DeviceElement element, void* stream);
    /// Of `data` [ranks * count], the sum of part `part`, which is this rank's, in its place.
    void reduce_scatter_sum(void* data, std::size_t count, int part, DeviceElement element,
                            void* stream);
    /// Every rank's part of `data` [ranks * count] to all.
    void all_gather(void* data, std::size_t count, int part, DeviceElement element, void* stream);
    void broadcast(void* data, std::size_t count, DeviceElement element, int root, void* stream);
    /// Waits for outstanding work and frees the group. Collective.
    void close();

  private:
    struct Native;
    std::unique_ptr<Native> native_;
};

}  // namespace popalign::comm
