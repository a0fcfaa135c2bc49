#pragma once

#include <popalign/base/descriptor.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace popalign {

/// A whole file, mapped read-only; pages are shared by all ranks of a node.
/// Throws Error if it cannot be opened or is no regular file.
class MappedFile {
  public:
    explicit MappedFile(const std::filesystem::path& path);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    ~MappedFile();

    std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

  private:
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

std::string read_text_file(const std::filesystem::path& path);

/// Flushes a finished file or directory to the device. Throws Error.
void sync_path(const std::filesystem::path& path);

/// Writer of a file that appears under its name only when it is complete. It writes to
/// `<name>.partial`, which `commit()` syncs and renames. Without a commit no file is left behind.
class AtomicFile {
  public:
    explicit AtomicFile(std::filesystem::path path);
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;
    ~AtomicFile();

    /// Throws Error naming the file, e.g. on a full disk.
    void write(std::span<const std::byte> data);
    void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
    void commit();

  private:
    std::filesystem::path path_, partial_;
    Descriptor descriptor_;
};

void write_text_file(const std::filesystem::path& path, std::string_view text);

/// Returns a temporary name beside `path`, for writers that need a path (HDF5, directories).
/// `commit_path` syncs it and renames it to `path`, replacing an older file.
std::filesystem::path partial_path(const std::filesystem::path& path);
void commit_path(const std::filesystem::path& partial, const std::filesystem::path& path);

}  // namespace popalign
