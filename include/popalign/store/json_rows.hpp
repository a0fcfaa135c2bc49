#pragma once

#include <popalign/base/file.hpp>
#include <popalign/comm/communicator.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace popalign {

/// The rows of a JSON Lines file, or of a JSON list. Lines end at "\n" alone: strings may hold
/// U+2028. Blank lines are no rows, but count as lines.
class JsonRows {
  public:
    /// Throws InputError, e.g. for a list that is no JSON.
    explicit JsonRows(const std::filesystem::path& path);

    /// Lines, or entries of the list.
    std::size_t size() const noexcept { return size_; }
    /// Calls `visit(number, row)`, numbers from 1, for the rows in `range`. A line that is no JSON,
    /// or for which `visit` throws UsageError or the JSON library's exceptions, goes to
    /// `bad(number, why)`.
    void visit(Range range, const std::function<void(std::size_t, const nlohmann::json&)>& visit,
               const std::function<void(std::size_t, const std::string&)>& bad) const;

  private:
    MappedFile file_;
    std::string_view text_;
    nlohmann::json list_;  ///< null for JSON Lines
    std::size_t size_ = 0;
};

}  // namespace popalign
