#include <popalign/base/error.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/base/text.hpp>
#include <popalign/evaluation/bradley_terry.hpp>
#include <popalign/store/rows/json_rows.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

namespace popalign::evaluation {
namespace {

AnswerStyle style_from(const nlohmann::json& row) {
    const auto count = [&](const char* name) {
        const auto& value = row.at(name);
        if (value.is_number())
            return value.get<double>();
        double sum = 0;  // by kind, as Arena-Hard's own metadata
        for (const auto& [kind, number] : value.items())
            sum += number.get<double>();
        return sum;
    };
    return {count("token_len"), count("header_count"), count("list_count"), count("bold_count")};
}

double first_wins(const std::string& winner) {
    if (winner == "model_a" || winner == "model_b")
        return winner == "model_a" ? 1 : 0;
    if (winner == "tie" || winner == "tie (bothbad)")
        return 0.5;
    throw UsageError(fmt::format("the winner '{}' is not model_a, model_b or tie", winner));
}

std::string_view trimmed_front(std::string_view line) {
    const auto start = line.find_first_not_of(" \t");
    return start == std::string_view::npos ? std::string_view() : line.substr(start);
}

bool is_header(std::string_view line) {
    const auto marks = std::min(line.find_first_not_of('#'), line.size());
    return marks >= 1 && marks <= 6 && marks < line.size() && line[marks] == ' ';
}

bool is_list_item(std::string_view line) {
    line = trimmed_front(line);
    const auto digits = std::min(line.find_first_not_of("0123456789"), line.size());
    if (digits > 0)
        return line.substr(digits).starts_with(". ");
    return line.size() > 1 && (line[0] == '-' || line[0] == '*' || line[0] == '+') &&
           line[1] == ' ';
}

/// Spans between two equal doubled marks with something but the mark between them.
std::size_t bold_spans(std::string_view line, char mark) {
    const std::string doubled(2, mark);
    std::size_t spans = 0;
    for (auto open = line.find(doubled); open != std::string_view::npos;) {
        const auto close = line.find(mark, open + 2);
        if (close != std::string_view::npos && close > open + 2 && close + 1 < line.size() &&
            line[close + 1] == mark) {
            ++spans;
            open = line.find(doubled, close + 2);
        } else {
            open = line.find(doubled, open + 1);
        }
    }
    return spans;
}

}  // namespace

AnswerStyle style_of(std::string_view text) {
    AnswerStyle style;
    style.length = static_cast<double>(code_points(text));
    bool code = false;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const std::string_view line = text.substr(begin, end - begin);
        begin = end + 1;
        if (trimmed_front(line).starts_with("```")) {
            code = !code;
            continue;
        }
        if (code)
            continue;
        style.headers += is_header(line) ? 1 : 0;
        style.lists += is_list_item(line) ? 1 : 0;
        style.bold += static_cast<double>(bold_spans(line, '*') + bold_spans(line, '_'));
    }
    return style;
}

std::size_t BattleSet::model(const std::string& name) {
    const auto found = std::ranges::find(models, name);
    if (found != models.end())
        return static_cast<std::size_t>(found - models.begin());
    models.push_back(name);
    return models.size() - 1;
}

BattleSet read_battles(const std::filesystem::path& path) {
    BattleSet set;
    std::map<std::string, std::size_t> questions;
    const std::string text = read_text_or_gzip(path);
    store::visit_json_rows(text, path.native(), [&](const nlohmann::json& row) {
        Battle battle;
        battle.question =
            questions.emplace(row.at("question_id").dump(), questions.size()).first->second;
        battle.first = set.model(row.at("model_a").get<std::string>());
        battle.second = set.model(row.at("model_b").get<std::string>());
        if (battle.first == battle.second)
            throw UsageError("a model fights itself");
        battle.first_wins = first_wins(row.at("winner").get<std::string>());
        if (row.contains("style_a"))
            battle.first_style = style_from(row["style_a"]);
        if (row.contains("style_b"))
            battle.second_style = style_from(row["style_b"]);
        set.battles.push_back(battle);
    });
    return set;
}

}  // namespace popalign::evaluation
