#pragma once

#include <popalign/base/descriptor.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

namespace popalign::store {

/// An append-only log of one writer: a 16-byte header (magic, format version), then records of
/// length (u64), CRC-32C of the payload (u32), CRC-32C of these 12 bytes (u32), payload; all
/// little-endian. Killed at any moment, what was appended before is readable; a torn tail is cut
/// off when the file is opened again.
class JournalWriter {
  public:
    /// Creates the file or continues it after its last whole record. Throws Error, also if another
    /// process still writes it (where the file system knows locks).
    explicit JournalWriter(const std::filesystem::path& path);

    /// How much of an unfinished record there was when it was opened.
    std::uint64_t torn_bytes() const noexcept { return torn_bytes_; }
    /// Hands the record to the operating system before it returns: a killed process loses none.
    /// Throws Error, e.g. on a full disk; the file is then as it was before.
    void append(std::span<const std::byte> payload);
    /// Flushes to the device: a crashed machine loses none of what was appended before.
    void sync();

  private:
    Descriptor descriptor_;
    std::uint64_t torn_bytes_ = 0;
    std::filesystem::path path_;
};

struct JournalRecord {
    std::uint64_t offset = 0;  ///< of the payload in the file
    std::span<const std::byte> payload;
};

/// Bytes in which no record could be found, between others.
struct DamagedBytes {
    std::uint64_t offset = 0, count = 0;
};

struct JournalSummary {
    std::uint64_t records = 0;
    std::uint64_t whole_bytes = 0;  ///< up to the end of the last whole record
    std::uint64_t torn_bytes = 0;   ///< behind it
    std::vector<DamagedBytes> damaged;
};

/// Calls `visit` for each whole record in order; the payload is valid during the call. Records with
/// a wrong checksum are passed over. The file may grow, or lose its torn tail, meanwhile: what was
/// there at the call is read, in pieces. Throws Error for a file that is no journal.
JournalSummary read_journal(const std::filesystem::path& path,
                            const std::function<void(const JournalRecord&)>& visit);

/// Reads records of a journal by what `read_journal` said of them.
class JournalReader {
  public:
    explicit JournalReader(const std::filesystem::path& path);

    /// Fills `payload` with the record that begins at `offset`. Throws Error if it is not there any
    /// more or damaged.
    void read(std::uint64_t offset, std::span<std::byte> payload) const;

  private:
    Descriptor descriptor_;
    std::filesystem::path path_;
};

}  // namespace popalign::store
