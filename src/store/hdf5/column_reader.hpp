#pragma once

#include "store/hdf5/hdf5.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace popalign::store {

/// A column of T open for reading. Chunks whose only filter is the checksum are read without HDF5's
/// filters and cache, which would make a random row cost ten times as much; their checksums are
/// verified here, and some recent chunks are cached. Other chunks (compressed ones) are read by
/// HDF5. Not thread-safe.
template <class T>
class ColumnReader {
  public:
    /// Throws UsageError if the column is missing or of another kind.
    ColumnReader(hid_t parent, std::string name);
    ColumnReader(const ColumnReader&) = delete;
    ColumnReader& operator=(const ColumnReader&) = delete;

    std::uint64_t size() const noexcept { return size_; }
    /// Elements [begin, begin + count). Throws UsageError if there are fewer, Error for a wrong
    /// checksum.
    std::vector<T> read(std::uint64_t begin, std::uint64_t count) const;

  private:
    struct Chunk {
        std::uint64_t number = ~std::uint64_t{0};
        std::vector<std::byte> stored;  ///< with its checksum behind
    };
    /// Returns a chunk; null if HDF5 has to read it. Valid until the next call.
    const std::byte* chunk(std::uint64_t number) const;

    std::string name_;
    hdf5::Dataset column_;
    std::uint64_t size_, chunk_rows_;
    enum class Storage { checksum_only, other } storage_;
    mutable std::vector<Chunk> kept_;  ///< chunk n at n modulo their number
};

}  // namespace popalign::store
