#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/base/unique_handle.hpp>

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <fstream>
#include <span>
#include <vector>

namespace popalign {
namespace {

/// Row k: what a byte contributes with k bytes behind it ("slicing by eight", Kounavis and Berry
/// 2005).
constexpr auto make_crc_tables() {
    std::array<std::array<std::uint32_t, 256>, 8> tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit)
            value = (value >> 1) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
        tables[0][byte] = value;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::uint32_t byte = 0; byte < 256; ++byte)
            tables[k][byte] = (tables[k - 1][byte] >> 8) ^ tables[0][tables[k - 1][byte] & 0xFFU];
    return tables;
}

struct DigestTraits {
    using Handle = EVP_MD_CTX*;
    static Handle null() noexcept { return nullptr; }
    static void release(Handle handle) noexcept { EVP_MD_CTX_free(handle); }
};

class Sha256 {
  public:
    Sha256() : context_(EVP_MD_CTX_new()) {
        require(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
    }
    void add(std::span<const char> data) {
        require(EVP_DigestUpdate(context_.get(), data.data(), data.size()) == 1);
    }
    std::string hex() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned int length = 0;
        require(EVP_DigestFinal_ex(context_.get(), digest.data(), &length) == 1);
        std::string text;
        for (unsigned int i = 0; i < length; ++i)
            text += fmt::format("{:02x}", digest[i]);
        return text;
    }

  private:
    static void require(bool done) {
        if (!done)
            throw_call_failed("EVP_Digest (SHA-256)", "OpenSSL refused");
    }
    UniqueHandle<DigestTraits> context_;
};

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t previous) noexcept {
    static constexpr auto tables = make_crc_tables();
    std::uint32_t value = ~previous;
    for (; data.size() >= 8; data = data.subspan(8)) {
        std::uint64_t word = 0;
        std::memcpy(&word, data.data(), 8);
        word ^= value;
        value = 0;
        for (std::size_t byte = 0; byte < 8; ++byte)
            value ^= tables[7 - byte][(word >> (8 * byte)) & 0xFFU];
    }
    for (std::byte byte : data)
        value = tables[0][(value ^ static_cast<std::uint32_t>(byte)) & 0xFFU] ^ (value >> 8);
    return ~value;
}

std::string sha256_hex(std::string_view data) {
    Sha256 hash;
    hash.add(data);
    return hash.hex();
}

std::string sha256_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw_system_error("open it", path.native());
    // A mapped file would count as this process's memory.
    std::vector<char> block(std::size_t{1} << 20);
    Sha256 hash;
    while (file) {
        file.read(block.data(), std::ssize(block));
        hash.add(std::span(block).first(static_cast<std::size_t>(file.gcount())));
    }
    if (file.bad())
        throw_system_error("read it", path.native());
    return hash.hex();
}

}  // namespace popalign
