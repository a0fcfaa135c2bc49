#pragma once

#include <popalign/lm/chat_template.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace popalign::jinja {

/// Text of which each byte remembers whether the template or a message brought it. Whatever a
/// template does to a content (cuts, strips, joins), its bytes stay contents.
class Text {
  public:
    Text(std::string bytes = "", PieceOrigin origin = PieceOrigin::chat_template)
        : bytes_(std::move(bytes)), origins_(bytes_.size(), static_cast<char>(origin)) {}

    const std::string& bytes() const noexcept { return bytes_; }
    std::size_t size() const noexcept { return bytes_.size(); }
    /// As std::string::substr.
    Text part(std::size_t begin, std::size_t count = std::string::npos) const {
        Text result;
        result.bytes_ = bytes_.substr(begin, count);
        result.origins_ = origins_.substr(begin, count);
        return result;
    }
    Text& operator+=(const Text& other) {
        bytes_ += other.bytes_;
        origins_ += other.origins_;
        return *this;
    }
    /// Neighbouring bytes of one origin together.
    std::vector<RenderedPiece> pieces() const {
        std::vector<RenderedPiece> result;
        for (std::size_t begin = 0, end = 0; begin < size(); begin = end) {
            end = std::min(origins_.find_first_not_of(origins_[begin], begin), size());
            result.push_back(
                {bytes_.substr(begin, end - begin), static_cast<PieceOrigin>(origins_[begin])});
        }
        return result;
    }
    /// Templates see the bytes alone.
    bool operator==(const Text& other) const { return bytes_ == other.bytes_; }

  private:
    std::string bytes_, origins_;  // of the same length
};

}  // namespace popalign::jinja
