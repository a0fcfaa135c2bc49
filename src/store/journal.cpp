#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/store/journal.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace popalign {
namespace {

constexpr std::array<char, 8> magic{'P', 'O', 'P', 'A', 'L', 'J', 'R', 'N'};
constexpr std::uint64_t format_version = 1;
constexpr std::size_t header_bytes = 16, frame_bytes = 12;  // a frame: u64 length, u32 CRC-32C

std::vector<std::byte> file_header() {
    std::vector<std::byte> header(header_bytes);
    std::memcpy(header.data(), magic.data(), magic.size());
    std::memcpy(header.data() + magic.size(), &format_version, sizeof format_version);
    return header;
}

/// One write for the whole record, so that a kill between two writes cannot tear it apart.
void write_all(int descriptor, std::span<const std::byte> data, const std::filesystem::path& path) {
    while (!data.empty()) {
        const ssize_t written = ::write(descriptor, data.data(), data.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            throw_system_error("append to the journal", path.native());
        data = data.subspan(static_cast<std::size_t>(written));
    }
}

}  // namespace

JournalSummary read_journal(const std::filesystem::path& path,
                            const std::function<void(std::span<const std::byte>)>& visit) {
    const MappedFile file(path);
    const auto bytes = file.bytes();
    JournalSummary summary;
    if (bytes.size() < header_bytes) {  // killed while it was created
        summary.torn_bytes = bytes.size();
        return summary;
    }
    if (std::memcmp(bytes.data(), file_header().data(), header_bytes) != 0)
        throw Error(path.native() +
                    ": not a journal of this version; remove it or use the version "
                    "that wrote it");
    std::size_t at = header_bytes;
    while (bytes.size() - at >= frame_bytes) {
        std::uint64_t length = 0;
        std::uint32_t crc = 0;
        std::memcpy(&length, bytes.data() + at, sizeof length);
        std::memcpy(&crc, bytes.data() + at + sizeof length, sizeof crc);
        if (length > bytes.size() - at - frame_bytes)
            break;
        const auto payload = bytes.subspan(at + frame_bytes, length);
        const std::size_t next = at + frame_bytes + length;
        if (crc32c(payload) != crc) {
            if (next == bytes.size())
                break;
            throw Error(
                fmt::format("{}: damaged at byte {} (the checksum of a record is wrong); "
                            "remove the file to make its answers again",
                            path.native(), at));
        }
        visit(payload);
        ++summary.records;
        at = next;
    }
    summary.whole_bytes = at;
    summary.torn_bytes = bytes.size() - at;
    return summary;
}

JournalWriter::JournalWriter(const std::filesystem::path& path) : path_(path) {
    const std::uint64_t whole =
        std::filesystem::exists(path) ? read_journal(path, [](auto) {}).whole_bytes : 0;
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (descriptor_ < 0)
        throw_system_error("open the journal", path.native());
    if (::ftruncate(descriptor_, static_cast<off_t>(whole)) != 0)
        throw_system_error("cut the journal's torn end off", path.native());
    if (whole == 0)
        write_all(descriptor_, file_header(), path_);
}

JournalWriter::JournalWriter(JournalWriter&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

JournalWriter& JournalWriter::operator=(JournalWriter&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(path_, other.path_);
    return *this;
}

JournalWriter::~JournalWriter() {
    if (descriptor_ >= 0)
        ::close(descriptor_);
}

void JournalWriter::append(std::span<const std::byte> payload) {
    const std::uint64_t length = payload.size();
    const std::uint32_t crc = crc32c(payload);
    std::vector<std::byte> record(frame_bytes);
    std::memcpy(record.data(), &length, sizeof length);
    std::memcpy(record.data() + sizeof length, &crc, sizeof crc);
    record.insert(record.end(), payload.begin(), payload.end());
    write_all(descriptor_, record, path_);
}

void JournalWriter::sync() {
    if (::fsync(descriptor_) != 0)
        throw_system_error("flush the journal", path_.native());
}

}  // namespace popalign
