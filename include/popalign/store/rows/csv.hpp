#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {

/// Comma-separated values with a header line (RFC 4180: quotes, doubled inside; line breaks within
/// quotes are not taken). Empty lines are passed over.
class CsvTable {
  public:
    /// `file` is what messages call the text. Throws InputError naming file and line for a row of
    /// another width than the header and for a quote that does not end.
    CsvTable(std::string_view text, std::string file);

    std::size_t size() const noexcept { return rows_.size(); }
    bool has(std::string_view column) const;
    /// Throws InputError if there is no such column.
    std::size_t column(std::string_view name) const;

    const std::string& text(std::size_t row, std::size_t column) const {
        return rows_[row].values[column];
    }
    /// Throws InputError with the row's line unless the whole value is a finite number.
    double number(std::size_t row, std::size_t column) const;

  private:
    struct Row {
        std::vector<std::string> values;
        std::size_t line;
    };
    std::vector<std::string> split(std::string_view line, std::size_t number) const;

    std::string file_;
    std::vector<std::string> header_;
    std::vector<Row> rows_;
};

}  // namespace popalign::store
