#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/record/text_similarity.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace popalign::store {

/// Finds texts that are almost equal to an earlier one, over the texts of all ranks. Signatures are
/// cut into bands, and texts with an equal band are sent to the rank given by the band's hash
/// (locality-sensitive hashing, Indyk and Motwani 1998). Work, memory (300 bytes per text) and
/// messages are linear in the number of texts, because texts with an equal band are only compared
/// with the first of them. The result does not depend on the number of ranks.
class TextRepeats {
  public:
    /// Adds a text. `row` orders the texts of all ranks; texts of one `group` do not count as
    /// repeats of each other.
    void add(std::uint64_t row, std::uint64_t group, std::string_view text);

    std::size_t size() const noexcept { return texts_.size(); }
    /// Returns for each text added here, in that order: 1 if a text of another group with a smaller
    /// row is almost equal. Collective.
    std::vector<std::uint8_t> find(const comm::Communicator& comm) const;

  private:
    struct Text {
        std::uint64_t row, group;
        TextSignature signature;
    };
    std::vector<Text> texts_;
};

}  // namespace popalign::store
