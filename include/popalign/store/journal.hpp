#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

namespace popalign {

/// An append-only log of one writer: a 16-byte header (magic, format version), then records of
/// length (u64), CRC-32C of the payload (u32), CRC-32C of these 12 bytes (u32), payload; all
/// little-endian. Killed at any moment, what was appended before is readable; a torn tail is cut
/// off when the file is opened again.
class JournalWriter {
  public:
    /// Creates the file or continues it after its last whole record. Throws Error.
    explicit JournalWriter(const std::filesystem::path& path);
    JournalWriter(JournalWriter&& other) noexcept;
    JournalWriter& operator=(JournalWriter&& other) noexcept;
    ~JournalWriter();

    /// Hands the record to the operating system before it returns: a killed process loses none.
    /// Throws Error, e.g. on a full disk; the file is then as it was before.
    void append(std::span<const std::byte> payload);
    /// Flushes to the device: a crashed machine loses none of what was appended before.
    void sync();

  private:
    int descriptor_ = -1;
    std::filesystem::path path_;
};

struct JournalSummary {
    std::uint64_t records = 0;
    std::uint64_t whole_bytes = 0;  ///< header and whole records
    std::uint64_t torn_bytes = 0;   ///< behind the last whole record
};

/// Calls `visit` for each whole record in order; the payload is valid during the call. A bad
/// checksum of a length, or of a payload before the last one, is damage, not a torn tail: throws
/// Error naming the file and the offset.
JournalSummary read_journal(const std::filesystem::path& path,
                            const std::function<void(std::span<const std::byte>)>& visit);

}  // namespace popalign
