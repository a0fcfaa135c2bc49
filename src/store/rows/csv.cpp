#include <popalign/base/error.hpp>
#include <popalign/store/rows/csv.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace popalign::store {

CsvTable::CsvTable(std::string_view text, std::string file) : file_(std::move(file)) {
    std::size_t number = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        std::string_view line = text.substr(begin, end - begin);
        begin = end + 1;
        ++number;
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (line.empty())
            continue;
        auto values = split(line, number);
        if (header_.empty()) {
            header_ = std::move(values);
            continue;
        }
        if (values.size() != header_.size())
            throw InputError(file_, number,
                             fmt::format("{} values where the header names {} columns",
                                         values.size(), header_.size()));
        rows_.push_back({std::move(values), number});
    }
}

std::vector<std::string> CsvTable::split(std::string_view line, std::size_t number) const {
    std::vector<std::string> values(1);
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"')
            values.back() += line[++i];
        else if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted)
            values.emplace_back();
        else
            values.back() += c;
    }
    if (quoted)
        throw InputError(file_, number, "a quote does not end on its line");
    return values;
}

bool CsvTable::has(std::string_view name) const {
    return std::ranges::find(header_, name) != header_.end();
}

std::size_t CsvTable::column(std::string_view name) const {
    const auto found = std::ranges::find(header_, name);
    if (found == header_.end())
        throw InputError(file_, 1, fmt::format("no column '{}'", name));
    return static_cast<std::size_t>(found - header_.begin());
}

double CsvTable::number(std::size_t row, std::size_t column) const {
    const std::string& value = text(row, column);
    double result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (error != std::errc() || end != value.data() + value.size() || !std::isfinite(result))
        throw InputError(file_, rows_[row].line,
                         fmt::format("'{}' in column '{}' is no number", value, header_[column]));
    return result;
}

}  // namespace popalign::store
