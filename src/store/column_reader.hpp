#pragma once

#include "store/hdf5.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace popalign {

/// The chunks that were read last, of all columns of a file together.
class ChunkCache {
  public:
    using Key = std::pair<const void*, std::uint64_t>;  // column, chunk

    explicit ChunkCache(std::size_t most_bytes) : most_bytes_(most_bytes) {}

    /// Null if it is not there. Valid until the next `put`.
    const std::vector<std::byte>* find(const Key& key);
    const std::vector<std::byte>& put(const Key& key, std::vector<std::byte> chunk);

  private:
    struct Hash {
        std::size_t operator()(const Key& key) const noexcept {
            return std::hash<const void*>()(key.first) ^ key.second * 0x9E3779B97F4A7C15U;
        }
    };
    using Chunks = std::list<std::pair<Key, std::vector<std::byte>>>;  // the last used first

    std::size_t most_bytes_, bytes_ = 0;
    Chunks chunks_;
    std::unordered_map<Key, Chunks::iterator, Hash> places_;
};

/// A column of T that is open for reading. Chunks with a checksum and nothing else are read past
/// HDF5's filters and cache, which would make a random row cost ten times as much; their checksums
/// are verified here. Others (compressed ones) go through HDF5.
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
    std::vector<T> read(std::uint64_t begin, std::uint64_t count, ChunkCache& cache) const;

  private:
    /// Null if HDF5 has to read it.
    const std::vector<std::byte>* chunk(std::uint64_t number, ChunkCache& cache) const;

    std::string name_;
    hdf5::Dataset column_;
    std::uint64_t size_, chunk_rows_;
    enum class Storage { checksum_only, other } storage_;
};

}  // namespace popalign
