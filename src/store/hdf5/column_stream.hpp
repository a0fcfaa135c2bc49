#pragma once

#include <popalign/base/descriptor.hpp>
#include <popalign/comm/communicator.hpp>

#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace popalign::store {

/// Location of a column's chunks in the file. Equal on all ranks.
struct ColumnLayout {
    std::uint64_t bytes = 0, chunk_bytes = 0;  ///< of the content, without checksums
    std::vector<std::uint64_t> addresses;      ///< of the chunks, each with its checksum behind

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& bytes& chunk_bytes& addresses;
    }
};

/// Writer of one rank to a file that all ranks write in parts.
class DataFile {
  public:
    explicit DataFile(const std::filesystem::path& path);

    /// Reserves disk space for the whole file at its current length. Throws Error.
    void reserve() const;
    /// Writes a chunk, padded with zeros to `chunk_bytes` and followed by its checksum. Adjacent
    /// chunks are written together.
    void write_chunk(std::uint64_t address, std::span<const std::byte> data,
                     std::uint64_t chunk_bytes);
    /// Flushes all written bytes to the device.
    void sync();

  private:
    void flush();

    std::filesystem::path path_;
    Descriptor descriptor_;
    std::uint64_t begin_ = 0;
    std::vector<std::byte> pending_;
};

/// Cuts one rank's part of a column, in order, into chunks. Incomplete chunks at its ends are kept
/// as fragments.
class ColumnStream {
  public:
    struct Fragment {
        std::uint64_t column = 0, begin = 0;  ///< of the content [byte]
        std::string data;

        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& column& begin& data;
        }
    };

    ColumnStream(ColumnLayout layout, std::uint64_t first_byte);

    void append(std::span<const std::byte> data, DataFile& file);
    /// Returns the fragments; call it when everything is appended.
    std::vector<Fragment> take_fragments(std::uint64_t column);
    std::uint64_t appended() const noexcept { return appended_; }  ///< bytes
    const ColumnLayout& layout() const noexcept { return layout_; }

  private:
    void close_chunk(DataFile& file);

    ColumnLayout layout_;
    std::uint64_t appended_ = 0;
    std::uint64_t begin_;  // of what is in `pending_`
    std::vector<std::byte> pending_;
    std::vector<Fragment> fragments_;
};

/// Joins the fragments of all ranks and writes them. Collective.
void write_fragments(const comm::Communicator& comm, std::vector<ColumnStream>& columns,
                     DataFile& file);

}  // namespace popalign::store
