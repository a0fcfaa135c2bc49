#include <popalign/contrast/judge_stage.hpp>

#include <fmt/format.h>

namespace popalign {

ContrastAccuracy contrast_accuracy(const PairFileHeader& header,
                                   const std::vector<PreferencePair>& pairs,
                                   const std::vector<Verdict>& verdicts) {
    std::vector<std::vector<Verdict>> by_strategy(header.strategies.size());
    for (const Verdict& verdict : verdicts)
        by_strategy.at(pairs.at(verdict.pair).strategy).push_back(verdict);
    ContrastAccuracy accuracy;
    for (std::size_t s = 0; s < by_strategy.size(); ++s)
        accuracy.strategies.emplace_back(header.strategies[s].name,
                                         summarise_verdicts(by_strategy[s]));
    accuracy.all = summarise_verdicts(verdicts);
    return accuracy;
}

std::string format_contrast_accuracy(const ContrastAccuracy& accuracy) {
    std::string table = fmt::format("{:<16} {:>9} {:>17} {:>6} {:>6} {:>12}\n", "strategy",
                                    "accuracy", "95 % interval", "pairs", "ties", "consistent");
    const auto row = [&](const std::string& name, const VerdictSummary& s) {
        table += fmt::format("{:<16} {:>8.1f}% {:>7.1f} to {:>5.1f}% {:>6} {:>6} {:>11.1f}%\n",
                             name, 100 * s.accuracy, 100 * s.lower, 100 * s.upper, s.n_valid,
                             s.ties, 100 * s.position_consistency);
    };
    for (const auto& [name, summary] : accuracy.strategies)
        row(name, summary);
    row("all", accuracy.all);
    return table;
}

}  // namespace popalign
