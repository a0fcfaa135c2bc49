#include <popalign/base/error.hpp>
#include <popalign/store/json_rows.hpp>

#include <algorithm>

namespace popalign {
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

JsonRows::JsonRows(const std::filesystem::path& path) : file_(path) {
    text_ = {reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size()};
    const auto first = text_.find_first_not_of(blank);
    if (text_.starts_with("\x1F\x8B"))
        throw InputError(path.native(), "compressed with gzip; decompress it first");
    if (first == std::string_view::npos)
        throw InputError(path.native(), "the file is empty; give at least one row");
    if (text_[first] != '[') {
        size_ = static_cast<std::size_t>(std::ranges::count(text_, '\n')) +
                (text_.ends_with('\n') ? 0 : 1);
        return;
    }
    try {
        list_ = nlohmann::json::parse(text_);
    } catch (const nlohmann::json::exception& error) {
        throw InputError(path.native(), "not JSON (" + reason_of(error) + ")");
    }
    size_ = list_.size();
}

void JsonRows::visit(Range range,
                     const std::function<void(std::size_t, const nlohmann::json&)>& visit,
                     const std::function<void(std::size_t, const std::string&)>& bad) const {
    if (list_.is_array()) {
        for (std::size_t i = range.begin; i < range.end; ++i)
            attempt(i + 1, bad, [&] { visit(i + 1, list_[i]); });
        return;
    }
    std::size_t begin = 0;
    for (std::size_t number = 1; begin < text_.size() && number <= range.end; ++number) {
        const std::size_t end = std::min(text_.find('\n', begin), text_.size());
        const std::string_view line = text_.substr(begin, end - begin);
        begin = end + 1;
        if (number > range.begin && line.find_first_not_of(blank) != std::string_view::npos)
            attempt(number, bad, [&] { visit(number, nlohmann::json::parse(line)); });
    }
}

}  // namespace popalign
