#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/store/rows/json_rows.hpp>

#include <algorithm>

namespace popalign::store {
namespace {

constexpr std::string_view blank = " \t\r\n";

/// The library's text without its own prefix.
std::string reason_of(const nlohmann::json::exception& error) {
    std::string_view reason = error.what();
    if (const auto at = reason.find("] "); at != std::string_view::npos)
        reason.remove_prefix(at + 2);
    return std::string(reason);
}

template <class Work>
void attempt(std::size_t number, const std::function<void(std::size_t, const std::string&)>& bad,
             Work&& work) {
    try {
        work();
    } catch (const nlohmann::json::exception& error) {
        bad(number, reason_of(error));
    } catch (const UsageError& error) {
        bad(number, error.what());
    }
}

}  // namespace

JsonRows::JsonRows(const std::filesystem::path& path) : file_(std::in_place, path) {
    open({reinterpret_cast<const char*>(file_->bytes().data()), file_->bytes().size()},
         path.native());
}

JsonRows::JsonRows(std::string_view text, const std::string& file) {
    open(text, file);
}

void JsonRows::open(std::string_view text, const std::string& file) {
    text_ = text;
    if (text_.starts_with("\x1F\x8B"))
        throw InputError(file, "compressed with gzip; decompress it first");
    if (text_.starts_with("PAR1"))
        throw InputError(file, "a Parquet file; make it JSON Lines with analysis/parquet.py");
    const auto first = text_.find_first_not_of(blank);
    if (first == std::string_view::npos)
        throw InputError(file, "the file is empty; give at least one row");
    list_ = text_[first] == '[';
    if (list_)
        split_list(file);
}

/// Finds where the entries are without reading them, so that each rank reads its own.
void JsonRows::split_list(const std::string& path) {
    std::size_t position = text_.find('[') + 1, begin = position, depth = 0;
    std::size_t line =
        1 + static_cast<std::size_t>(std::ranges::count(text_.substr(0, position), '\n'));
    std::size_t begin_line = line;
    bool in_string = false, ended = false;
    const auto close_entry = [&] {
        std::string_view entry = text_.substr(begin, position - begin);
        const std::size_t lead = std::min(entry.find_first_not_of(blank), entry.size());
        begin_line += static_cast<std::size_t>(std::ranges::count(entry.substr(0, lead), '\n'));
        entry.remove_prefix(lead);
        if (!entry.empty() || !ended || !entries_.empty())
            entries_.push_back({entry, begin_line});
        begin = position + 1;
        begin_line = line;
    };
    for (; position < text_.size() && !ended; ++position) {
        const char c = text_[position];
        line += c == '\n' ? 1 : 0;
        if (in_string) {
            position += c == '\\' ? 1 : 0;
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        ended = depth == 0 && c == ']';
        if (depth == 0 && (c == ',' || ended))
            close_entry();
        depth += c == '[' || c == '{' ? 1 : 0;
        depth -= depth > 0 && (c == ']' || c == '}') ? 1 : 0;
    }
    if (!ended)
        throw InputError(path, "not JSON: the list that it begins with does not end");
    if (text_.find_first_not_of(blank, position) != std::string_view::npos)
        throw InputError(path, line, "not JSON: something follows the list");
}

std::size_t JsonRows::units() const noexcept {
    return list_ ? entries_.size() : text_.size();
}

/// Returns the position of the first line that begins at or after `from`.
std::size_t JsonRows::line_begin(std::size_t from) const {
    if (from == 0 || from >= text_.size())
        return std::min(from, text_.size());
    const auto end = text_.find('\n', from - 1);
    return end == std::string_view::npos ? text_.size() : end + 1;
}

std::size_t JsonRows::lines(Range share) const {
    if (list_)
        return share.size();
    const std::size_t begin = line_begin(share.begin), end = line_begin(share.end);
    if (begin >= end)
        return 0;
    const auto whole =
        static_cast<std::size_t>(std::ranges::count(text_.substr(begin, end - begin), '\n'));
    return whole + (text_[end - 1] == '\n' ? 0 : 1);
}

void JsonRows::visit(Range share, std::size_t lines_before,
                     const std::function<void(std::size_t, const nlohmann::json&)>& visit,
                     const std::function<void(std::size_t, const std::string&)>& bad) const {
    if (list_) {
        for (std::size_t i = share.begin; i < share.end; ++i) {
            const auto& [text, line] = entries_[i];
            attempt(line, bad, [&, number = line] { visit(number, nlohmann::json::parse(text)); });
        }
        return;
    }
    const std::size_t last = line_begin(share.end);
    std::size_t line = lines_before + 1;
    for (std::size_t begin = line_begin(share.begin); begin < last; ++line) {
        const std::size_t end = std::min(text_.find('\n', begin), text_.size());
        const std::string_view text = text_.substr(begin, end - begin);
        begin = end + 1;
        if (text.find_first_not_of(blank) != std::string_view::npos)
            attempt(line, bad, [&] { visit(line, nlohmann::json::parse(text)); });
    }
}

void visit_json_rows(std::string_view text, const std::string& file,
                     const std::function<void(const nlohmann::json&)>& visit) {
    const JsonRows rows(text, file);
    rows.visit(
        rows.all(), 0, [&](std::size_t, const nlohmann::json& row) { visit(row); },
        [&](std::size_t number, const std::string& why) { throw InputError(file, number, why); });
}

}  // namespace popalign::store
