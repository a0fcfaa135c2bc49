#pragma once

#include <popalign/comm/communicator.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace popalign::comm {

enum class DeviceElement { float32, float64, bfloat16 };

/// Collectives on device memory among the ranks of a communicator, by NCCL; its id travels over
/// MPI. Operations are queued on `stream` (a cudaStream_t) and are complete when that stream is. In
/// a build without NCCL the constructor throws Error.
class DeviceGroup {
  public:
    /// Whether this build has NCCL.
    static bool available() noexcept;
    /// The NCCL version loaded, e.g. "2.30.3"; empty without NCCL.
    static std::string library_version();
    /// The NCCL version that the build was compiled with.
    static std::string compiled_version();

    /// Uses the calling thread's current CUDA device. Collective.
    explicit DeviceGroup(const Communicator& comm);
    DeviceGroup(DeviceGroup&&) noexcept;
    DeviceGroup& operator=(DeviceGroup&&) noexcept;
    /// Aborts outstanding work. Call `close()` for a normal end.
    ~DeviceGroup();

    /// Sums `data` [count] over the ranks, in place.
    void all_reduce_sum(void* data, std::size_t count, DeviceElement element, void* stream);
    /// Sums `data` [ranks * count] over the ranks. Each rank gets the sum of its own part `part`,
    /// in place.
    void reduce_scatter_sum(void* data, std::size_t count, int part, DeviceElement element,
                            void* stream);
    /// Sends the part `part` of every rank to all ranks, in place. `data` is [ranks * count].
    void all_gather(void* data, std::size_t count, int part, DeviceElement element, void* stream);
    void broadcast(void* data, std::size_t count, DeviceElement element, int root, void* stream);
    /// Waits for outstanding work and frees the group. Collective.
    void close();

  private:
    struct Native;
    std::unique_ptr<Native> native_;
};

}  // namespace popalign::comm
