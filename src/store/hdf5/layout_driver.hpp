#pragma once

#include "store/hdf5/hdf5.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace popalign::store::hdf5 {

/// A new file of which HDF5 writes all but the columns' data: it records where that belongs, so
/// that many ranks can write it there at once, each for itself. (HDF5 over MPI-IO would fill every
/// chunk of a column with a checksum first, and so write everything twice.) For one rank.
class LayoutFile {
  public:
    explicit LayoutFile(const std::filesystem::path& path);
    LayoutFile(LayoutFile&&) noexcept;
    LayoutFile& operator=(LayoutFile&&) noexcept;
    ~LayoutFile();

    hid_t get() const noexcept;
    /// Where the parts of data belong that `lay_out` makes room for, in their order.
    std::vector<std::uint64_t> record(const std::function<void()>& lay_out);
    /// Writes the metadata; the file then has its whole length. Throws Error.
    void close();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace popalign::store::hdf5
