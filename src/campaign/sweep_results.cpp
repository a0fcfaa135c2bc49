#include <popalign/base/file.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/campaign/sweep_results.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>

namespace popalign::campaign {
namespace {

using Json = nlohmann::json;
constexpr std::array<std::string_view, 4> state_names{"missing", "started", "done", "failed"};

/// Returns null if there is no file, or it is incomplete.
Json read_json(const std::filesystem::path& path) {
    std::ifstream file(path);
    return file ? Json::parse(file, nullptr, false) : Json();
}

/// A CSV table. Columns are in order of first use; a row may lack some.
class Table {
  public:
    void begin_row() { rows_.emplace_back(); }
    void set(const std::string& column, const std::string& value) {
        if (std::ranges::find(columns_, column) == columns_.end())
            columns_.push_back(column);
        rows_.back()[column] = value;
    }
    void set(const std::string& column, const Json& value) {
        if (value.is_string())
            set(column, value.get<std::string>());
        else if (value.is_number() || value.is_boolean())
            set(column, value.dump());
    }
    std::string csv() const {
        std::string text = fmt::format("{}\n", fmt::join(quoted(columns_), ","));
        for (const auto& row : rows_) {
            std::vector<std::string> cells;
            for (const std::string& column : columns_)
                cells.push_back(row.contains(column) ? row.at(column) : "");
            text += fmt::format("{}\n", fmt::join(quoted(cells), ","));
        }
        return text;
    }

  private:
    static std::vector<std::string> quoted(std::vector<std::string> cells) {
        for (std::string& cell : cells)
            if (cell.find_first_of(",\"\n\r") != std::string::npos) {
                std::string text = "\"";
                for (const char c : cell)
                    text += c == '"' ? std::string("\"\"") : std::string(1, c);
                cell = text + "\"";
            }
        return cells;
    }

    std::vector<std::string> columns_;
    std::vector<std::map<std::string, std::string>> rows_;
};

Json member(const Json& json, std::string_view key) {
    return json.is_object() && json.contains(key) ? json.at(std::string(key)) : Json();
}

/// Sets reward accuracy and related figures, over all held-out pairs and by strategy.
void set_preference(Table& table, const std::string& prefix, const Json& preference) {
    const auto set_figures = [&](const std::string& suffix, const Json& figures) {
        for (const char* name : {"n", "loss", "reward_margin"})
            table.set(prefix + name + suffix, member(figures, name));
        for (const char* name : {"reward_accuracy", "logps_accuracy"})
            for (const auto& [part, end] :
                 {std::pair{"value", ""}, {"lower", "_lower"}, {"upper", "_upper"}})
                table.set(prefix + name + end + suffix, member(member(figures, name), part));
    };
    set_figures("", member(preference, "overall"));
    const Json strategies = member(preference, "strategies");
    for (const auto& [name, figures] : strategies.items())
        set_figures("/" + name, figures);
}

void set_win_rate(Table& table, const Json& result) {
    for (const auto& [column, key] : {std::pair{"win_rate", "win_rate"},
                                      {"win_rate_lower", "lower"},
                                      {"win_rate_upper", "upper"},
                                      {"win_rate_n", "n"}})
        table.set(column, member(result, key));
}

/// Sets the last training step and the pairs and tokens seen.
void set_training(Table& table, const std::filesystem::path& train) {
    std::ifstream file(train / "metrics.jsonl");
    Json last;
    for (std::string line; std::getline(file, line);)
        if (const Json row = Json::parse(line, nullptr, false); row.is_object())
            last = row;
    table.set("steps", member(last, "step"));
    table.set("tokens", member(last, "num_tokens"));
    table.set("train_loss", member(last, "loss"));
}

void set_cost(Table& table, const std::filesystem::path& directory) {
    std::ifstream file(RunDirectory(directory).cost());
    double core_seconds = 0, gpu_seconds = 0;
    for (std::string line; std::getline(file, line);)
        if (const Json row = Json::parse(line, nullptr, false); row.is_object()) {
            core_seconds += row.value("core_seconds", 0.0);
            gpu_seconds += row.value("gpu_seconds", 0.0);
        }
    table.set("core_seconds", Json(core_seconds));
    table.set("gpu_seconds", Json(gpu_seconds));
}

void set_identity(Table& table, const SweepUnit& run) {
    const auto joined = [](const std::vector<std::string>& names) {
        return fmt::format("{}", fmt::join(names, "+"));
    };
    table.set("run", run.name);
    table.set("mix", run.mix.name);
    table.set("designs", joined(run.mix.designs));
    table.set("strategies", joined(run.mix.strategies));
    for (const auto& [name, share] : run.mix.proportions)
        table.set("proportion/" + name, Json(share));
    table.set("instructions", Json(run.size));
    table.set("draws", Json(run.draws));
    table.set("seed", Json(run.seed));
    for (const auto& [key, value] : run.factors)
        table.set(key, value);
}

}  // namespace

UnitStatus read_status(const std::filesystem::path& unit_directory) {
    UnitStatus status;
    const Json json = read_json(RunDirectory(unit_directory).status());
    if (!json.is_object())
        return status;
    const Json name = member(json, "state");
    const auto* known = name.is_string() ? std::ranges::find(state_names, name.get<std::string>())
                                         : state_names.end();
    if (known != state_names.end())
        status.state = static_cast<UnitState>(known - state_names.begin());
    const Json error = member(json, "error"), seconds = member(json, "seconds");
    status.error = error.is_string() ? error.get<std::string>() : "";
    status.seconds = seconds.is_number() ? seconds.get<double>() : 0;
    return status;
}

void write_status(const std::filesystem::path& unit_directory, const UnitStatus& status) {
    std::filesystem::create_directories(unit_directory);
    const nlohmann::ordered_json json{
        {"state", state_names[static_cast<std::size_t>(status.state)]},
        {"error", status.error},
        {"seconds", status.seconds},
        {"ranks", status.ranks}};
    write_text_file(RunDirectory(unit_directory).status(),
                    json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string describe_status(const SweepPlan& plan, const std::filesystem::path& directory) {
    std::string text, failures;
    for (const auto& [title, units] : {std::pair{"pairs", &plan.data},
                                       {"base evaluations", &plan.bases},
                                       {"runs", &plan.runs}}) {
        std::array<std::size_t, 4> counts{};
        for (const SweepUnit& unit : *units) {
            const UnitStatus status = read_status(directory / unit.name);
            ++counts[static_cast<std::size_t>(status.state)];
            if (status.state == UnitState::failed)
                failures += fmt::format("{} {}: {}\n", unit.name, unit.mix.name, status.error);
        }
        text += fmt::format("{:<17} {:>4} done {:>4} started {:>4} failed {:>4} missing\n", title,
                            counts[2], counts[1], counts[3], counts[0]);
    }
    return text + failures;
}

std::string collect_csv(const SweepPlan& plan, const std::filesystem::path& directory) {
    Table table;
    for (const SweepUnit& run : plan.runs) {
        const std::filesystem::path run_directory = directory / run.name;
        const UnitStatus status = read_status(run_directory);
        table.begin_row();
        set_identity(table, run);
        table.set("state", std::string(state_names[static_cast<std::size_t>(status.state)]));
        table.set("error", status.error);
        set_training(table, RunDirectory(run_directory).train().path());
        set_preference(table, "", read_json(RunDirectory(run_directory).preference()));
        set_preference(table, "base_", read_json(RunDirectory(directory / run.base).preference()));
        set_win_rate(table, read_json(RunDirectory(run_directory).win_rate()));
        table.set("seconds", Json(status.seconds));
        set_cost(table, run_directory);
    }
    return table.csv();
}

}  // namespace popalign::campaign
