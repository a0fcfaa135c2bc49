#include <popalign/base/error.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/evaluation/judge_validation.hpp>
#include <popalign/lm/judge/verdict_text.hpp>
#include <popalign/store/rows/json_rows.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace popalign::evaluation {
namespace {

Choice choice_of(std::int64_t label) {
    if (label < 0 || label > 2)
        throw UsageError(fmt::format("the label {} is not 0, 1 or 2", label));
    return static_cast<Choice>(label);
}

LabelledPair llmbar_pair(const nlohmann::json& row) {
    return {row.at("input").get<std::string>(),
            row.at("output_1").get<std::string>(),
            row.at("output_2").get<std::string>(),
            {choice_of(row.at("label").get<std::int64_t>())}};
}

/// PandaLM's file was once a table: it holds `true` where an answer reads "True".
std::string text_of(const nlohmann::json& value) {
    if (value.is_boolean())
        return value.get<bool>() ? "True" : "False";
    return value.get<std::string>();
}

LabelledPair pandalm_pair(const nlohmann::json& row) {
    LabelledPair pair{row.at("instruction").get<std::string>(),
                      text_of(row.at("response1")),
                      text_of(row.at("response2")),
                      {}};
    if (const auto input = row.value("input", std::string()); !input.empty())
        pair.instruction += "\n\n" + input;
    for (int person = 1; row.contains(fmt::format("annotator{}", person)); ++person)
        pair.labels.push_back(
            choice_of(row[fmt::format("annotator{}", person)].get<std::int64_t>()));
    if (pair.labels.empty())
        throw UsageError("no `annotator1`");
    return pair;
}

/// The answers change places.
std::optional<Choice> swapped(std::optional<Choice> choice) {
    if (!choice || *choice == Choice::tie)
        return choice;
    return *choice == Choice::first ? Choice::second : Choice::first;
}

std::optional<Choice> llmbar_words(const std::string& words) {
    static const std::vector<std::string> labels{"Output (a)", "Output (b)"};
    const lm::ParsedVerdict verdict = lm::parse_verdict(words, labels);
    if (verdict.kind != lm::TextVerdict::label)
        return std::nullopt;
    return verdict.label == 0 ? Choice::first : Choice::second;
}

OrderedChoices llmbar_verdict(const nlohmann::json& row) {
    const auto& result = row.at("results").at(0);
    const auto words = [&](const char* order) {
        return llmbar_words(result.at(order).at("completion").at(0).get<std::string>());
    };
    return {words("swap = False"), swapped(words("swap = True"))};
}

void add_own_verdict(const nlohmann::json& row, std::vector<OrderedChoices>& verdicts) {
    const auto index = row.at("index").get<std::size_t>();
    const auto order = row.at("order").get<std::size_t>();
    if (index >= verdicts.size() || order > 1)
        throw UsageError("`index` or `order` is out of bounds");
    const auto& winner = row.at("winner");
    if (winner.is_null())
        verdicts[index][order].reset();
    else
        verdicts[index][order] = choice_of(winner.get<std::int64_t>());
}

int number(Choice choice) {
    return static_cast<int>(choice);
}

}  // namespace

std::optional<Choice> LabelledPair::majority() const {
    for (const Choice choice : {Choice::first, Choice::second, Choice::tie})
        if (2 * static_cast<std::size_t>(std::ranges::count(labels, choice)) > labels.size())
            return choice;
    return std::nullopt;
}

std::vector<LabelledPair> read_labelled_pairs(const std::filesystem::path& path,
                                              const std::string& format) {
    if (format != "llmbar" && format != "pandalm")
        throw UsageError(fmt::format("the format '{}' is not llmbar or pandalm", format));
    const std::string text = read_text_or_gzip(path);
    std::vector<LabelledPair> pairs;
    store::visit_json_rows(text, path.native(), [&](const nlohmann::json& row) {
        pairs.push_back(format == "llmbar" ? llmbar_pair(row) : pandalm_pair(row));
    });
    return pairs;
}

std::vector<OrderedChoices> read_verdicts(const std::filesystem::path& path, std::size_t pairs) {
    std::vector<OrderedChoices> verdicts;
    const std::string text = read_text_or_gzip(path);
    bool has_rows = false;
    store::visit_json_rows(text, path.native(), [&](const nlohmann::json& row) {
        if (row.contains("results")) {
            verdicts.push_back(llmbar_verdict(row));
            return;
        }
        if (!has_rows)
            verdicts.assign(pairs, {});
        has_rows = true;
        add_own_verdict(row, verdicts);
    });
    if (verdicts.size() != pairs)
        throw InputError(path.native(), fmt::format("verdicts of {} pairs where there are {}",
                                                    verdicts.size(), pairs));
    return verdicts;
}

JudgeWorth worth_of(std::span<const LabelledPair> pairs, std::span<const OrderedChoices> verdicts,
                    std::uint64_t seed) {
    JudgeWorth worth;
    worth.n = pairs.size();
    std::vector<std::pair<int, int>> with_label, with_other_order;
    std::vector<double> right;  // of each valid pair, in shares of its two orders
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        const auto label = pairs[i].majority();
        const auto& [in_order, turned] = verdicts[i];
        if (!label) {
            ++worth.without_majority;
            continue;
        }
        if (!in_order || !turned) {
            ++worth.unparsed;
            continue;
        }
        with_label.emplace_back(number(*label), number(*in_order));
        with_label.emplace_back(number(*label), number(*turned));
        with_other_order.emplace_back(number(*in_order), number(*turned));
        worth.accuracy_by_order[0] += *in_order == *label ? 1 : 0;
        worth.accuracy_by_order[1] += *turned == *label ? 1 : 0;
        right.push_back(((*in_order == *label ? 1 : 0) + (*turned == *label ? 1 : 0)) / 2.0);
    }
    worth.n_valid = right.size();
    if (right.empty())
        return worth;
    for (double& accuracy : worth.accuracy_by_order)
        accuracy /= static_cast<double>(right.size());
    const Agreement labels = agreement_of(with_label), orders = agreement_of(with_other_order);
    worth.accuracy = labels.share;
    worth.kappa = labels.kappa;
    worth.agreement = orders.share;
    worth.order_kappa = orders.kappa;
    constexpr int rounds = 1000;
    worth.interval = bootstrap_interval(right.size(), rounds,
                                        RandomStream(seed, "judge", "bootstrap"), [&](auto times) {
                                            double sum = 0;
                                            for (std::size_t i = 0; i < right.size(); ++i)
                                                sum += times[i] * right[i];
                                            return sum / static_cast<double>(right.size());
                                        });
    return worth;
}

PeopleAgreement agreement_of_people(std::span<const LabelledPair> pairs) {
    PeopleAgreement result;
    result.n = pairs.size();
    for (const LabelledPair& pair : pairs)
        result.people = std::max(result.people, pair.labels.size());
    double count = 0;
    for (std::size_t a = 0; a < result.people; ++a)
        for (std::size_t b = a + 1; b < result.people; ++b) {
            std::vector<std::pair<int, int>> both;
            for (const LabelledPair& pair : pairs)
                if (b < pair.labels.size())
                    both.emplace_back(number(pair.labels[a]), number(pair.labels[b]));
            const Agreement agreement = agreement_of(both);
            result.agreement += agreement.share;
            result.kappa += agreement.kappa;
            ++count;
        }
    if (count > 0) {
        result.agreement /= count;
        result.kappa /= count;
    }
    for (const LabelledPair& pair : pairs) {
        const bool same = std::ranges::all_of(
            pair.labels, [&](Choice label) { return label == pair.labels.front(); });
        result.unanimous += same ? 1 : 0;
        if (const auto majority = pair.majority()) {
            ++result.with_majority;
            ++result.majority[static_cast<std::size_t>(*majority)];
        }
    }
    return result;
}

}  // namespace popalign::evaluation
