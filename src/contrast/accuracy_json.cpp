#include "contrast/accuracy_json.hpp"

#include <popalign/base/text.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <algorithm>

namespace popalign::contrast {
namespace {

using Json = nlohmann::ordered_json;

Json interval_json(const Interval& interval) {
    return {interval.lower, interval.upper};
}

Json strategy_json(const StrategyAccuracy& strategy) {
    const VerdictSummary& s = strategy.summary;
    Json json{{"accuracy", s.accuracy},
              {"lower", s.lower},
              {"upper", s.upper},
              {"interval", "Wilson, 95 %"},
              {"bootstrap_over_instructions", interval_json(strategy.bootstrap)},
              {"n", s.n},
              {"n_valid", s.n_valid},
              {"dropped_verdicts", {{"abstained", s.abstained}, {"unparsed", s.unparsed}}},
              {"ties", s.ties},
              {"position_consistency", s.position_consistency},
              {"chosen_first_accuracy", s.chosen_first_accuracy},
              {"rejected_first_accuracy", s.rejected_first_accuracy},
              {"length_difference", strategy.length_difference},
              {"chosen_longer", strategy.chosen_longer},
              {"equal_length_accuracy", nullptr}};
    if (strategy.equal_length) {
        json["equal_length_accuracy"] = *strategy.equal_length;
        json["equal_length_interval"] = interval_json(strategy.equal_length_interval);
    }
    if (!strategy.variant.empty())
        json["variant"] = strategy.variant;
    return json;
}

Json judge_json(const JudgeAccuracy& judge) {
    Json json{{"judge", judge.judge.name},
              {"judge_sha256", judge.judge.model},
              {"template", judge.judge.template_name},
              {"template_sha256", judge.judge.template_sha256}};
    json["strategies"] = Json::object();
    for (const StrategyAccuracy& strategy : judge.strategies) {
        const bool repeated =
            std::ranges::count(judge.strategies, strategy.name, &StrategyAccuracy::name) > 1;
        json["strategies"][repeated ? strategy.name + "/" + strategy.variant : strategy.name] =
            strategy_json(strategy);
    }
    json["all"] = strategy_json(judge.all);
    return json;
}

}  // namespace

std::vector<PairFacts> pair_facts(const store::PairFile& file) {
    constexpr std::size_t part = 1024;
    std::vector<PairFacts> facts;
    for (std::size_t begin = 0; begin < file.pair_count(); begin += part) {
        const auto pairs =
            file.pairs({begin, std::min<std::size_t>(begin + part, file.pair_count())});
        std::vector<std::uint64_t> answers;
        for (const PreferencePair& pair : pairs) {
            answers.push_back(pair.chosen);
            answers.push_back(pair.rejected);
        }
        const auto responses = file.responses(answers);
        for (std::size_t i = 0; i < pairs.size(); ++i)
            facts.push_back({pairs[i].instruction, pairs[i].strategy,
                             static_cast<double>(code_points(responses[2 * i].text)) -
                                 static_cast<double>(code_points(responses[2 * i + 1].text))});
    }
    return facts;
}

nlohmann::ordered_json to_json(const ContrastAccuracy& accuracy, std::size_t shown) {
    Json json = judge_json(accuracy.judges.at(shown));
    json["judges"] = Json::array();
    for (const JudgeAccuracy& judge : accuracy.judges)
        json["judges"].push_back(judge_json(judge));
    json["agreement"] = Json::array();
    for (const auto& [first, second, agreement] : accuracy.agreements)
        json["agreement"].push_back(
            {{"judges", {first, second}},
             {"names", {accuracy.judges[first].judge.name, accuracy.judges[second].judge.name}},
             {"share", agreement.share},
             {"kappa", agreement.kappa},
             {"n", agreement.n}});
    return json;
}

}  // namespace popalign::contrast
