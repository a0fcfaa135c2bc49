#include <popalign/base/descriptor.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace popalign {
namespace {

Descriptor open_for_reading(const std::filesystem::path& path) {
    Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!descriptor)
        throw_system_error("open it", path.native());
    return descriptor;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
    const Descriptor descriptor = open_for_reading(path);
    struct stat status {};
    if (::fstat(descriptor.get(), &status) != 0)
        throw_system_error("inspect it", path.native());
    if (!S_ISREG(status.st_mode))
        throw InputError(path.native(), "not a regular file; give the path of a file");
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0)
        return;
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor.get(), 0);
    if (address == MAP_FAILED)
        throw_system_error("map it", path.native());
    data_ = static_cast<const std::byte*>(address);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr)
        ::munmap(const_cast<std::byte*>(data_), size_);
}

std::string read_text_file(const std::filesystem::path& path) {
    const MappedFile file(path);
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void sync_path(const std::filesystem::path& path) {
    const Descriptor descriptor = open_for_reading(path);
    if (::fsync(descriptor.get()) != 0)
        throw_system_error("flush it", path.native());
}

AtomicFile::AtomicFile(std::filesystem::path path)
    : path_(std::move(path)), partial_(partial_path(path_)) {
    descriptor_.reset(::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!descriptor_)
        throw_system_error("create it", partial_.native());
}

AtomicFile::~AtomicFile() {
    if (descriptor_)
        ::unlink(partial_.c_str());
}

void AtomicFile::write(std::span<const std::byte> data) {
    while (!data.empty()) {
        const ssize_t written = ::write(descriptor_.get(), data.data(), data.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            throw_system_error("write it", path_.native());
        data = data.subspan(static_cast<std::size_t>(written));
    }
}

void AtomicFile::commit() {
    if (::fsync(descriptor_.get()) != 0)
        throw_system_error("flush it", path_.native());
    const int closed = ::close(descriptor_.take());
    if (closed != 0 || ::rename(partial_.c_str(), path_.c_str()) != 0) {
        const int code = errno;
        ::unlink(partial_.c_str());
        errno = code;
        throw_system_error("put it in place", path_.native());
    }
    sync_path(path_.has_parent_path() ? path_.parent_path() : ".");
}

void write_text_file(const std::filesystem::path& path, std::string_view text) {
    AtomicFile file(path);
    file.write(text);
    file.commit();
}

std::filesystem::path partial_path(const std::filesystem::path& path) {
    std::filesystem::path partial = path;
    partial += ".partial";
    return partial;
}

void commit_path(const std::filesystem::path& partial, const std::filesystem::path& path) {
    sync_path(partial);
    if (::rename(partial.c_str(), path.c_str()) != 0)
        throw_system_error("put it in place", path.native());
    sync_path(path.has_parent_path() ? path.parent_path() : ".");
}

}  // namespace popalign
