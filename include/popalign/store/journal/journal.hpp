#pragma once

#include <popalign/base/descriptor.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

namespace popalign::store {

/// Append-only log of one writer: a 16-byte header (magic, format version), then records of length
/// (u64), CRC-32C of the payload (u32), CRC-32C of these 12 bytes (u32), payload; all
/// little-endian. If the writer is killed, all records appended before stay readable. A torn tail
/// is cut off when the file is opened again.
class JournalWriter {
  public:
    /// Creates the file or continues it after its last whole record. Throws Error, also if another
    /// process still writes it (on file systems with locks).
    explicit JournalWriter(const std::filesystem::path& path);

    /// Bytes of an unfinished record that were cut off when the file was opened.
    std::uint64_t torn_bytes() const noexcept { return torn_bytes_; }
    /// Appends a record. It is with the operating system on return, so that a killed process loses
    /// none. Throws Error, e.g. on a full disk; the file is then unchanged.
    void append(std::span<const std::byte> payload);
    /// Flushes to the device: a crash of the machine loses no record appended before.
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

/// Bytes between whole records in which no record could be found.
struct DamagedBytes {
    std::uint64_t offset = 0, count = 0;
};

struct JournalSummary {
    std::uint64_t records = 0;
    std::uint64_t whole_bytes = 0;  ///< up to the end of the last whole record
    std::uint64_t torn_bytes = 0;   ///< after the last whole record
    std::vector<DamagedBytes> damaged;
};

/// Calls `visit` for each whole record in order; the payload is valid during the call. Skips
/// records with a wrong checksum. The file may grow or lose its torn tail meanwhile: only the part
/// that existed at the call is read, in pieces. Throws Error for a file that is not a journal.
JournalSummary read_journal(const std::filesystem::path& path,
                            const std::function<void(const JournalRecord&)>& visit);

/// Reads single records of a journal, at offsets that `read_journal` reported.
class JournalReader {
  public:
    explicit JournalReader(const std::filesystem::path& path);

    /// Fills `payload` with the payload at `offset`. Throws Error if the record is missing or
    /// damaged.
    void read(std::uint64_t offset, std::span<std::byte> payload) const;

  private:
    Descriptor descriptor_;
    std::filesystem::path path_;
};

}  // namespace popalign::store
