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

/// The rows of a JSON Lines file, or of a JSON list, each parsed when it is visited. Lines end at
/// "\n" alone: strings may hold U+2028. Blank lines are no rows.
class JsonRows {
  public:
    /// Throws InputError, e.g. for a list that does not end.
    explicit JsonRows(const std::filesystem::path& path);
    /// The same of a text, which must outlive this; `file` is what messages call it.
    JsonRows(std::string_view text, const std::string& file);

    /// What ranks divide among themselves: bytes of JSON Lines (a row is whose it begins in),
    /// entries of a list.
    std::size_t units() const noexcept;
    bool is_list() const noexcept { return list_; }
    Range all() const noexcept { return {0, units()}; }
    /// Lines that begin in the share.
    std::size_t lines(Range share) const;

    /// Calls `visit(line, row)` for the share's rows, `line` being where in the file the row
    /// begins, from 1; `lines_before` are those of the shares before (of a list it does not
    /// matter). A row that is no JSON, or for which `visit` throws UsageError or the JSON library's
    /// exceptions, goes to `bad(line, why)`.
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

/// Calls `visit(row)` for every row of a text. Throws InputError for the first one that is no JSON
/// or that `visit` cannot take.
void visit_json_rows(std::string_view text, const std::string& file,
                     const std::function<void(const nlohmann::json&)>& visit);

}  // namespace popalign::store
