#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/base/unique_handle.hpp>

#include <fmt/format.h>
#include <zlib.h>

#include <array>

namespace popalign {
namespace {

struct GzipTraits {
    using Handle = gzFile;
    static Handle null() noexcept { return nullptr; }
    static void release(Handle handle) noexcept { gzclose_r(handle); }
};

[[noreturn]] void fail(gzFile file, const std::filesystem::path& path) {
    int code = 0;
    const char* reason = gzerror(file, &code);
    throw InputError(path.native(), fmt::format("cannot be unpacked ({}); fetch it again", reason));
}

std::string unpack(const std::filesystem::path& path, std::uint64_t limit) {
    const UniqueHandle<GzipTraits> file(gzopen(path.c_str(), "rb"));
    if (!file)
        throw_system_error("open it", path.native());
    std::string text;
    std::array<char, 1 << 16> buffer;
    for (;;) {
        const int got = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
        if (got < 0)
            fail(file.get(), path);
        text.append(buffer.data(), static_cast<std::size_t>(got));
        if (text.size() > limit)
            throw InputError(
                path.native(),
                fmt::format("unpacks to more than {} bytes; unpack it by hand", limit));
        if (static_cast<std::size_t>(got) < buffer.size())
            break;
    }
    // zlib passes over text that was never packed, and reports a cut-off end only here.
    int code = Z_OK;
    gzerror(file.get(), &code);
    if (code != Z_OK)
        fail(file.get(), path);
    if (gzdirect(file.get()) != 0)
        throw InputError(path.native(), "is no gzip file; give it a name without .gz");
    return text;
}

}  // namespace

std::string read_text_or_gzip(const std::filesystem::path& path, std::uint64_t limit) {
    if (!std::filesystem::is_regular_file(path))
        throw InputError(path.native(), "no such file");
    return path.extension() == ".gz" ? unpack(path, limit) : read_text_file(path);
}

}  // namespace popalign
