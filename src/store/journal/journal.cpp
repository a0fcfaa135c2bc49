#include <popalign/base/descriptor.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/store/journal/journal.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

namespace popalign::store {
namespace {

constexpr std::array<char, 8> magic{'P', 'O', 'P', 'A', 'L', 'J', 'R', 'N'};
constexpr std::uint64_t format_version = 1;
constexpr std::size_t header_bytes = 16;

/// Header of a record. Its own checksum tells a damaged length, after which no record could be
/// found, from a torn tail.
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

/// All of `data` from `offset` on, or as much as there is.
std::size_t read_at(int descriptor, std::uint64_t offset, std::span<std::byte> data,
                    const std::filesystem::path& path) {
    std::size_t done = 0;
    while (done < data.size()) {
        const ssize_t count = ::pread(descriptor, data.data() + done, data.size() - done,
                                      static_cast<off_t>(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            throw_system_error("read the journal", path.native());
        if (count == 0)
            break;
        done += static_cast<std::size_t>(count);
    }
    return done;
}

Descriptor open_journal(const std::filesystem::path& path) {
    Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened)
        throw_system_error("open the journal", path.native());
    return opened;
}

/// A journal as long as it was when it was opened, of which a part is in memory. (Mapped, a file
/// that becomes shorter would kill its reader.)
class JournalWindow {
  public:
    explicit JournalWindow(const std::filesystem::path& path)
        : path_(path), file_(open_journal(path)) {
        struct stat status {};
        if (::fstat(file_.get(), &status) != 0)
            throw_system_error("inspect the journal", path.native());
        if (!S_ISREG(status.st_mode))
            throw InputError(path.native(), "not a regular file; remove it from the journals");
        size_ = static_cast<std::uint64_t>(status.st_size);
    }
    std::uint64_t size() const noexcept { return size_; }

    /// Fewer than `count` where the file ends. Valid until the next call.
    std::span<const std::byte> at(std::uint64_t offset, std::uint64_t count) {
        count = std::min(count, size_ - std::min(offset, size_));
        if (offset < begin_ || offset + count > begin_ + buffer_.size()) {
            constexpr std::uint64_t piece = std::uint64_t{1} << 20;
            buffer_.resize(std::min(std::max(count, piece), size_ - offset));
            begin_ = offset;
            buffer_.resize(read_at(file_.get(), offset, buffer_, path_));
        }
        return std::span(buffer_).subspan(
            offset - begin_, std::min<std::uint64_t>(count, buffer_.size() - (offset - begin_)));
    }

    /// The payload of the whole record that begins at `offset`, if one does.
    std::optional<std::span<const std::byte>> record(std::uint64_t offset) {
        const auto head = at(offset, Frame::bytes);
        if (head.size() < Frame::bytes)
            return std::nullopt;
        const Frame frame = Frame::parse(head);
        if (frame.length > size_ - offset - Frame::bytes ||
            crc32c(head.first(12)) != frame.frame_crc)
            return std::nullopt;
        const auto payload = at(offset + Frame::bytes, frame.length);
        if (payload.size() < frame.length || crc32c(payload) != frame.payload_crc)
            return std::nullopt;
        return payload;
    }

    /// Where the next whole record begins behind a damaged one.
    std::optional<std::uint64_t> find_record(std::uint64_t damaged) {
        const auto head = at(damaged, Frame::bytes);
        if (head.size() == Frame::bytes) {  // its length may still be right
            const Frame frame = Frame::parse(head);
            if (frame.length < size_ && record(damaged + Frame::bytes + frame.length))
                return damaged + Frame::bytes + frame.length;
        }
        for (std::uint64_t offset = damaged + 1; offset + Frame::bytes <= size_; ++offset)
            if (record(offset))
                return offset;
        return std::nullopt;
    }

  private:
    std::filesystem::path path_;
    Descriptor file_;
    std::uint64_t size_ = 0, begin_ = 0;
    std::vector<std::byte> buffer_;
};

/// A machine that crashed may leave zeros where the first records were to be.
bool all_zero(std::span<const std::byte> bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

/// Waits for a process that is about to end. Where locks are not to be had, there are none.
void lock(int descriptor, const std::filesystem::path& path) {
    constexpr int attempts = 30;
    for (int attempt = 0; ::flock(descriptor, LOCK_EX | LOCK_NB) != 0; ++attempt) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return;
        if (attempt == attempts)
            throw Error(
                path.native() +
                ": another process writes this journal; wait until it has ended, or end it");
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

}  // namespace

JournalSummary read_journal(const std::filesystem::path& path,
                            const std::function<void(const JournalRecord&)>& visit) {
    JournalWindow window(path);
    JournalSummary summary;
    const auto header = window.at(0, header_bytes);
    if (header.size() < header_bytes || all_zero(header)) {  // killed while it was created
        summary.torn_bytes = window.size();
        return summary;
    }
    if (!std::ranges::equal(header, file_header()))
        throw Error(path.native() +
                    ": not a journal of this version; remove it or use the version "
                    "that wrote it");
    summary.whole_bytes = header_bytes;
    for (std::optional<std::uint64_t> offset = header_bytes; offset && *offset < window.size();) {
        if (const auto payload = window.record(*offset)) {
            visit({*offset + Frame::bytes, *payload});
            ++summary.records;
            offset = summary.whole_bytes = *offset + Frame::bytes + payload->size();
            continue;
        }
        const std::uint64_t damaged = *offset;
        offset = window.find_record(damaged);
        if (offset)
            summary.damaged.push_back({damaged, *offset - damaged});
    }
    summary.torn_bytes = window.size() - summary.whole_bytes;
    return summary;
}

JournalReader::JournalReader(const std::filesystem::path& path)
    : descriptor_(open_journal(path)), path_(path) {}

void JournalReader::read(std::uint64_t offset, std::span<std::byte> payload) const {
    std::array<std::byte, Frame::bytes> head{};
    const std::array<iovec, 2> parts{
        {{head.data(), head.size()}, {payload.data(), payload.size()}}};
    ssize_t count = 0;
    do
        count = ::preadv(descriptor_.get(), parts.data(), parts.size(),
                         static_cast<off_t>(offset - Frame::bytes));
    while (count < 0 && errno == EINTR);
    if (count < 0)
        throw_system_error("read the journal", path_.native());
    const Frame frame = Frame::parse(head);
    if (static_cast<std::size_t>(count) != head.size() + payload.size() ||
        frame.length != payload.size() || crc32c(payload) != frame.payload_crc)
        throw Error(
            fmt::format("{}: the record at byte {} has changed since it was first read; "
                        "run again",
                        path_.native(), offset));
}

JournalWriter::JournalWriter(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)),
      path_(path) {
    if (!descriptor_)
        throw_system_error("open the journal", path.native());
    lock(descriptor_.get(), path);
    const JournalSummary found = read_journal(path, [](const JournalRecord&) {});
    const std::uint64_t whole = found.whole_bytes;
    torn_bytes_ = found.torn_bytes;
    if (::ftruncate(descriptor_.get(), static_cast<off_t>(whole)) != 0)
        throw_system_error("cut the journal's torn end off", path.native());
    if (whole == 0) {
        write_all(descriptor_.get(), file_header(), path_);
        sync_path(path.has_parent_path() ? path.parent_path() : ".");
    }
}

void JournalWriter::append(std::span<const std::byte> payload) {
    // One write for the whole record, so that a kill between two writes cannot tear it apart.
    std::vector<std::byte> record = Frame::make(payload);
    record.insert(record.end(), payload.begin(), payload.end());
    write_all(descriptor_.get(), record, path_);
}

void JournalWriter::sync() {
    if (::fsync(descriptor_.get()) != 0)
        throw_system_error("flush the journal", path_.native());
}

}  // namespace popalign::store
