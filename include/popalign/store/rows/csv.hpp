#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {

/// Table of comma-separated values with a header line (RFC 4180 with quotes, doubled inside; line
/// breaks inside quotes are not supported). Empty lines are skipped.
class CsvTable {
  public:
    /// `file` is the name used in messages. Throws InputError naming file and line for a row of
    /// another width than the header and for an unterminated quote.
    CsvTable(std::string_view text, std::string file);

    std::size_t size() const noexcept { return rows_.size(); }
    bool has(std::string_view column) const;
    /// Returns the index of a column. Throws InputError if there is none.
    std::size_t column(std::string_view name) const;

    const std::string& text(std::size_t row, std::size_t column) const {
        return rows_[row].values[column];
    }
    /// Returns a value as a number. Throws InputError with the row's line unless the whole value is
    /// a finite number.
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
