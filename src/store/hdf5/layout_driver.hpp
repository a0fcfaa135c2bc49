#pragma once

#include "store/hdf5/hdf5.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace popalign::store::hdf5 {

/// A new file in which HDF5 writes everything but the columns' data. It records where the data
/// belong, so that all ranks can write them in parallel and independently. (HDF5 over MPI-IO would
/// first fill every chunk that has a checksum, and so write everything twice.) Used on one rank.
class LayoutFile {
  public:
    explicit LayoutFile(const std::filesystem::path& path);
    LayoutFile(LayoutFile&&) noexcept;
    LayoutFile& operator=(LayoutFile&&) noexcept;
    ~LayoutFile();

    hid_t get() const noexcept;
    /// Returns the positions of the data for which `lay_out` allocates space, in order.
    std::vector<std::uint64_t> record(const std::function<void()>& lay_out);
    /// Writes the metadata; the file then has its whole length. Throws Error.
    void close();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace popalign::store::hdf5
