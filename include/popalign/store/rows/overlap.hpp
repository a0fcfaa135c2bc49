#pragma once

#include <popalign/record/instruction.hpp>

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <unordered_set>

namespace popalign::store {

/// Index that finds instructions sharing text with evaluation sets: any run of 8 words, or the
/// whole of a shorter text. Case, punctuation and white space are ignored.
class OverlapIndex {
  public:
    void add(std::string_view text);
    /// Adds every prompt of a JSON Lines file or JSON list of texts, or of objects with
    /// `instruction`, `prompt`, `question`, `text` or `turns`. Throws InputError.
    void add_file(const std::filesystem::path& path);

    bool empty() const noexcept { return runs_.empty(); }
    bool overlaps(std::string_view text) const;

  private:
    std::unordered_set<std::uint64_t> runs_;
};

}  // namespace popalign::store
