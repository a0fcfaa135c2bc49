#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/base/unique_handle.hpp>
#include <popalign/store/journal.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace popalign {
namespace {

struct DescriptorTraits {
    using Handle = int;
    static Handle null() noexcept { return -1; }
    static void release(Handle handle) noexcept { ::close(handle); }
};
using Descriptor = UniqueHandle<DescriptorTraits>;

constexpr std::array<char, 8> magic{'P', 'O', 'P', 'A', 'L', 'J', 'R', 'N'};
constexpr std::uint64_t format_version = 1;
constexpr std::size_t header_bytes = 16;

/// What stands before each payload. Its own checksum tells a damaged length, behind which nothing
/// could be found again, from a torn tail.
struct Frame {
    static constexpr std::size_t bytes = 16;
    std::uint64_t length = 0;
    std::uint32_t payload_crc = 0, frame_crc = 0;

    static Frame parse(std::span<const std::byte> data) {
        Frame frame;
        std::memcpy(&frame.length, data.data(), 8);
        std::memcpy(&frame.payload_crc, data.data() + 8, 4);
        std::memcpy(&frame.frame_crc, data.data() + 12, 4);
        return frame;
    }
    static std::vector<std::byte> make(std::span<const std::byte> payload) {
        const std::uint64_t length = payload.size();
        const std::uint32_t payload_crc = crc32c(payload);
        std::vector<std::byte> data(bytes);
        std::memcpy(data.data(), &length, 8);
        std::memcpy(data.data() + 8, &payload_crc, 4);
        const std::uint32_t frame_crc = crc32c(std::span(data).first(12));
        std::memcpy(data.data() + 12, &frame_crc, 4);
        return data;
    }
};

std::vector<std::byte> file_header() {
    std::vector<std::byte> header(header_bytes);
    std::memcpy(header.data(), magic.data(), magic.size());
    std::memcpy(header.data() + magic.size(), &format_version, sizeof format_version);
    return header;
}

/// All of `data`, or an Error and the file as it was: what follows a half record could not be read.
void write_all(int descriptor, std::span<const std::byte> data, const std::filesystem::path& path) {
    for (std::size_t done = 0; done < data.size();) {
        const ssize_t written = ::write(descriptor, data.data() + done, data.size() - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            const int code = errno;
            struct stat status {};
            if (::fstat(descriptor, &status) != 0 ||
                ::ftruncate(descriptor, status.st_size - static_cast<off_t>(done)) != 0)
                throw_system_error("take back half a record", path.native());
            errno = code;
            throw_system_error("append to the journal", path.native());
        }
        done += static_cast<std::size_t>(written);
    }
}

[[noreturn]] void fail_damaged(const std::filesystem::path& path, std::size_t at) {
    throw Error(
        fmt::format("{}: damaged at byte {} (the checksum of a record is wrong); remove the "
                    "file to make its answers again",
                    path.native(), at));
}

/// A machine that crashed may leave zeros where the last records were to be.
bool all_zero(std::span<const std::byte> bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

JournalSummary read_journal(const std::filesystem::path& path,
                            const std::function<void(std::span<const std::byte>)>& visit) {
    const MappedFile file(path);
    const auto bytes = file.bytes();
    JournalSummary summary;
    if (bytes.size() < header_bytes || all_zero(bytes)) {  // killed while it was created
        summary.torn_bytes = bytes.size();
        return summary;
    }
    if (std::memcmp(bytes.data(), file_header().data(), header_bytes) != 0)
        throw Error(path.native() +
                    ": not a journal of this version; remove it or use the version "
                    "that wrote it");
    std::size_t at = header_bytes;
    while (bytes.size() - at >= Frame::bytes) {
        const auto rest = bytes.subspan(at);
        const Frame frame = Frame::parse(rest);
        if (crc32c(rest.first(12)) != frame.frame_crc) {
            if (all_zero(rest))
                break;
            fail_damaged(path, at);
        }
        if (frame.length > rest.size() - Frame::bytes)
            break;
        const auto payload = rest.subspan(Frame::bytes, frame.length);
        if (crc32c(payload) != frame.payload_crc) {
            if (all_zero(rest.subspan(Frame::bytes + frame.length)))
                break;
            fail_damaged(path, at);
        }
        visit(payload);
        ++summary.records;
        at += Frame::bytes + frame.length;
    }
    summary.whole_bytes = at;
    summary.torn_bytes = bytes.size() - at;
    return summary;
}

JournalWriter::JournalWriter(const std::filesystem::path& path) : path_(path) {
    const std::uint64_t whole =
        std::filesystem::exists(path) ? read_journal(path, [](auto) {}).whole_bytes : 0;
    Descriptor opened(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!opened)
        throw_system_error("open the journal", path.native());
    if (::ftruncate(opened.get(), static_cast<off_t>(whole)) != 0)
        throw_system_error("cut the journal's torn end off", path.native());
    if (whole == 0) {
        write_all(opened.get(), file_header(), path_);
        sync_path(path.has_parent_path() ? path.parent_path() : ".");
    }
    descriptor_ = opened.take();
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
    // One write for the whole record, so that a kill between two writes cannot tear it apart.
    std::vector<std::byte> record = Frame::make(payload);
    record.insert(record.end(), payload.begin(), payload.end());
    write_all(descriptor_, record, path_);
}

void JournalWriter::sync() {
    if (::fsync(descriptor_) != 0)
        throw_system_error("flush the journal", path_.native());
}

}  // namespace popalign
