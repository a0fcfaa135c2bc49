#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/record/text_similarity.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace popalign::store {

/// Finds texts that are almost equal to one before them, over the texts of all ranks: signatures
/// are cut into bands, and texts that share a band meet at the rank that the band's hash names
/// (locality-sensitive hashing, Indyk and Motwani 1998). Work, memory (300 bytes a text) and
/// messages grow with the texts, not with their pairs: of those that share a band, each is compared
/// with the first only. The result does not depend on the ranks.
class TextRepeats {
  public:
    /// `row` orders the texts of all ranks; those of one `group` do not repeat each other.
    void add(std::uint64_t row, std::uint64_t group, std::string_view text);

    std::size_t size() const noexcept { return texts_.size(); }
    /// For each text that was added here, in that order: 1 if one with a smaller row, of another
    /// group, is almost equal. Collective.
    std::vector<std::uint8_t> find(const comm::Communicator& comm) const;

  private:
    struct Text {
        std::uint64_t row, group;
        TextSignature signature;
    };
    std::vector<Text> texts_;
};

}  // namespace popalign::store
