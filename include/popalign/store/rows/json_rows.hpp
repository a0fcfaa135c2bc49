#pragma once

#include <popalign/base/file.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/communicator.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {

/// The rows of a JSON Lines file or of a JSON list. A row is parsed when it is visited. Lines end
/// at "\n" only: strings may hold U+2028. Blank lines are skipped.
class JsonRows {
  public:
    /// Maps the file. Throws InputError, e.g. for an unterminated list.
    explicit JsonRows(const std::filesystem::path& path);
    /// Rows of a text, which must outlive this object. `file` is the name used in messages.
    JsonRows(std::string_view text, const std::string& file);

    /// Number of units that ranks divide among themselves: bytes of JSON Lines (a row belongs to
    /// the share in which it begins), or entries of a list.
    std::size_t units() const noexcept;
    bool is_list() const noexcept { return list_; }
    Range all() const noexcept { return {0, units()}; }
    /// Number of lines that begin in the share.
    std::size_t lines(Range share) const;

    /// Calls `visit(line, row)` for the rows of the share. `line` is the line in the file where the
    /// row begins, from 1. `lines_before` is the number of lines in the shares before (ignored for
    /// a list). Calls `bad(line, why)` for a row that is not JSON, or for which `visit` throws
    /// UsageError or an exception of the JSON library.
    void visit(Range share, std::size_t lines_before,
               const std::function<void(std::size_t, const nlohmann::json&)>& visit,
               const std::function<void(std::size_t, const std::string&)>& bad) const;

  private:
    struct Entry {
        std::string_view text;
        std::size_t line;
    };

    void open(std::string_view text, const std::string& file);
    std::size_t line_begin(std::size_t from) const;
    void split_list(const std::string& file);

    std::optional<MappedFile> file_;
    std::string_view text_;
    bool list_ = false;
    std::vector<Entry> entries_;
};

/// Calls `visit(row)` for every row of a text. Throws InputError for the first row that is not JSON
/// or that `visit` rejects.
void visit_json_rows(std::string_view text, const std::string& file,
                     const std::function<void(const nlohmann::json&)>& visit);

}  // namespace popalign::store
