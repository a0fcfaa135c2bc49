#include <popalign/base/error.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/evaluation/alpaca_eval.hpp>
#include <popalign/store/rows/csv.hpp>

#include <fmt/format.h>

namespace popalign::evaluation {
namespace {

/// The file whose name starts with `stem`, packed or not; empty if there is none.
std::filesystem::path look_for(const std::filesystem::path& directory, const std::string& stem) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
        const std::string name = entry.path().filename();
        if (name.starts_with(stem) && (name.ends_with(".csv") || name.ends_with(".csv.gz")))
            return entry.path();
    }
    return {};
}

std::filesystem::path find(const std::filesystem::path& directory, const std::string& stem) {
    if (const auto path = look_for(directory, stem); !path.empty())
        return path;
    throw InputError(directory.native(),
                     fmt::format("no {}*.csv there, which length control needs; "
                                 "data/fetch_benchmarks.py fetches it, --data names another folder",
                                 stem));
}

store::CsvTable load(const std::filesystem::path& path) {
    return store::CsvTable(read_text_or_gzip(path), path.native());
}

}  // namespace

bool has_length_control(const std::filesystem::path& directory) {
    return !look_for(directory, "instruction_difficulty").empty() &&
           !look_for(directory, "df_gamed").empty();
}

LengthControlData load_length_control(const std::filesystem::path& directory) {
    LengthControlData data;
    const store::CsvTable difficulty = load(find(directory, "instruction_difficulty"));
    const std::size_t value = difficulty.column("instruction_difficulty");
    for (std::size_t i = 0; i < difficulty.size(); ++i)
        data.difficulty.push_back(difficulty.number(i, value));
    const store::CsvTable gamed = load(find(directory, "df_gamed"));
    const std::size_t length = gamed.column("std_delta_len"),
                      item = gamed.column("instruction_difficulty"),
                      preference =
                          gamed.column(gamed.has("preference_surrogate") ? "preference_surrogate"
                                                                         : "preference");
    for (std::size_t i = 0; i < gamed.size(); ++i) {
        const double stated = gamed.number(i, preference);
        data.gamed.push_back(
            {gamed.number(i, length), gamed.number(i, item), stated > 1 ? stated - 1 : stated});
    }
    return data;
}

}  // namespace popalign::evaluation
