#include "store/hdf5/column_stream.hpp"

#include "store/hdf5/fletcher32.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <map>
#include <utility>

namespace popalign::store {
namespace {

constexpr std::size_t bytes_per_write = std::size_t{1} << 20;

}  // namespace

DataFile::DataFile(const std::filesystem::path& path)
    : path_(path), descriptor_(::open(path.c_str(), O_WRONLY | O_CLOEXEC)) {
    if (!descriptor_)
        throw_system_error("open it", path_.native());
}

void DataFile::reserve() const {
    struct stat status {};
    if (::fstat(descriptor_.get(), &status) != 0)
        throw_system_error("inspect it", path_.native());
    if (::fallocate(descriptor_.get(), 0, 0, status.st_size) == 0)
        return;
    if (errno == EOPNOTSUPP || errno == ENOSYS) {
        if (std::filesystem::space(path_).available >= static_cast<std::uintmax_t>(status.st_size))
            return;
        errno = ENOSPC;
    }
    throw_system_error("reserve its space", path_.native());
}

void DataFile::write_chunk(std::uint64_t address, std::span<const std::byte> data,
                           std::uint64_t chunk_bytes) {
    // Aligned chunks leave bytes between them, too few for anything to be there.
    constexpr std::uint64_t largest_gap = 4;
    const std::uint64_t end = begin_ + pending_.size();
    if (address < end || address - end > largest_gap || pending_.size() >= bytes_per_write) {
        flush();
        begin_ = address;
    }
    pending_.resize(address - begin_);
    pending_.insert(pending_.end(), data.begin(), data.end());
    pending_.resize(address - begin_ + chunk_bytes);
    const std::uint32_t checksum = fletcher32(std::span(pending_).last(chunk_bytes));
    const auto bytes = std::as_bytes(std::span(&checksum, 1));
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
}

void DataFile::flush() {
    for (std::size_t done = 0; done < pending_.size();) {
        const ssize_t written = ::pwrite(descriptor_.get(), pending_.data() + done,
                                         pending_.size() - done, static_cast<off_t>(begin_ + done));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            throw_system_error("write it", path_.native());
        done += static_cast<std::size_t>(written);
    }
    // The device works while the next part is made; whether it took notice is for `sync` to say.
    if (!pending_.empty())
        ::sync_file_range(descriptor_.get(), static_cast<off_t>(begin_),
                          static_cast<off_t>(pending_.size()), SYNC_FILE_RANGE_WRITE);
    pending_.clear();
}

void DataFile::sync() {
    flush();
    if (::fsync(descriptor_.get()) != 0)
        throw_system_error("flush it", path_.native());
}

ColumnStream::ColumnStream(ColumnLayout layout, std::uint64_t first_byte)
    : layout_(std::move(layout)), begin_(first_byte) {}

void ColumnStream::append(std::span<const std::byte> data, DataFile& file) {
    const std::uint64_t chunk = layout_.chunk_bytes;
    appended_ += data.size();
    while (!data.empty()) {
        const std::uint64_t position = begin_ + pending_.size();
        if (position == begin_ && position % chunk == 0 && data.size() >= chunk) {
            file.write_chunk(layout_.addresses.at(position / chunk), data.first(chunk), chunk);
            data = data.subspan(chunk);
            begin_ += chunk;
            continue;
        }
        const auto count = std::min<std::uint64_t>(chunk - position % chunk, data.size());
        pending_.insert(pending_.end(), data.begin(),
                        data.begin() + static_cast<std::ptrdiff_t>(count));
        data = data.subspan(count);
        if ((position + count) % chunk == 0)
            close_chunk(file);
    }
}

void ColumnStream::close_chunk(DataFile& file) {
    if (begin_ % layout_.chunk_bytes == 0)
        file.write_chunk(layout_.addresses.at(begin_ / layout_.chunk_bytes), pending_,
                         layout_.chunk_bytes);
    else
        fragments_.push_back(
            {0, begin_, {reinterpret_cast<const char*>(pending_.data()), pending_.size()}});
    begin_ += pending_.size();
    pending_.clear();
}

std::vector<ColumnStream::Fragment> ColumnStream::take_fragments(std::uint64_t column) {
    if (!pending_.empty())
        fragments_.push_back(
            {0, begin_, {reinterpret_cast<const char*>(pending_.data()), pending_.size()}});
    for (Fragment& fragment : fragments_)
        fragment.column = column;
    return std::exchange(fragments_, {});
}

void write_fragments(const comm::Communicator& comm, std::vector<ColumnStream>& columns,
                     DataFile& file) {
    using Fragments = std::vector<ColumnStream::Fragment>;
    std::vector<Fragments> outgoing(static_cast<std::size_t>(comm.size()));
    for (std::size_t column = 0; column < columns.size(); ++column)
        for (auto& fragment : columns[column].take_fragments(column)) {
            const std::uint64_t chunk = fragment.begin / columns[column].layout().chunk_bytes;
            outgoing[(column + chunk) % outgoing.size()].push_back(std::move(fragment));
        }
    std::map<std::pair<std::uint64_t, std::uint64_t>, Fragments> chunks;
    for (auto& part : comm::all_to_all_objects(comm, outgoing))
        for (auto& fragment : part) {
            const std::uint64_t size = columns[fragment.column].layout().chunk_bytes;
            chunks[{fragment.column, fragment.begin / size}].push_back(std::move(fragment));
        }
    comm::run_on_all(comm, [&] {
        for (auto& [key, parts] : chunks) {
            const ColumnLayout& layout = columns[key.first].layout();
            std::ranges::sort(parts, {}, &ColumnStream::Fragment::begin);
            std::string whole;
            for (const auto& part : parts)
                whole += part.data;
            const std::uint64_t begin = key.second * layout.chunk_bytes;
            if (whole.size() != std::min(layout.chunk_bytes, layout.bytes - begin))
                throw Error("the ranks' parts of a column do not fit together");
            file.write_chunk(layout.addresses.at(key.second), std::as_bytes(std::span(whole)),
                             layout.chunk_bytes);
        }
    });
}

}  // namespace popalign::store
