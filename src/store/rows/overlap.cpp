#include <popalign/base/error.hpp>
#include <popalign/base/random.hpp>
#include <popalign/store/rows/json_rows.hpp>
#include <popalign/store/rows/overlap.hpp>

#include <algorithm>
#include <cctype>
#include <functional>
#include <vector>

namespace popalign::store {
namespace {

constexpr std::size_t run_words = 8;

/// Calls `use` with the hash of each run of words, until it says no.
void for_each_run(std::string_view text, const std::function<bool(std::uint64_t)>& use) {
    std::string plain;
    std::vector<std::size_t> begins;
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80 && std::isalnum(byte) == 0) {
            if (!plain.empty() && plain.back() != ' ')
                plain += ' ';
            continue;
        }
        if (plain.empty() || plain.back() == ' ')
            begins.push_back(plain.size());
        plain += static_cast<char>(std::tolower(byte));
    }
    if (plain.ends_with(' '))
        plain.pop_back();
    if (begins.empty())
        return;
    const std::size_t runs = begins.size() < run_words ? 1 : begins.size() - run_words + 1;
    for (std::size_t i = 0; i < runs; ++i) {
        const std::size_t end =
            i + run_words < begins.size() ? begins[i + run_words] - 1 : plain.size();
        if (!use(stable_hash(std::string_view(plain).substr(begins[i], end - begins[i]))))
            return;
    }
}

}  // namespace

void OverlapIndex::add(std::string_view text) {
    for_each_run(text, [&](std::uint64_t run) {
        runs_.insert(run);
        return true;
    });
}

bool OverlapIndex::overlaps(std::string_view text) const {
    bool found = false;
    if (!runs_.empty())
        for_each_run(text, [&](std::uint64_t run) { return !(found = runs_.contains(run)); });
    return found;
}

void OverlapIndex::add_file(const std::filesystem::path& path) {
    const JsonRows rows(path);
    rows.visit(
        rows.all(), 0,
        [&](std::size_t, const nlohmann::json& row) {
            if (row.is_string())
                return add(row.get_ref<const std::string&>());
            if (const auto turns = row.find("turns"); turns != row.end()) {
                for (const auto& turn : *turns)
                    add(turn.is_string() ? turn.get<std::string>()
                                         : turn.at("content").get<std::string>());
                return;
            }
            for (const char* name : {"instruction", "prompt", "question", "text"})
                if (const auto found = row.find(name); found != row.end())
                    return add(found->get<std::string>());
            throw UsageError("no instruction, prompt, question, text or turns");
        },
        [&](std::size_t number, const std::string& why) {
            throw InputError(path.native(), number, why);
        });
}

}  // namespace popalign::store
