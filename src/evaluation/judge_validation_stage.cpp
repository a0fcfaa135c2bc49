#include <popalign/base/file.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/evaluation/judge_validation_stage.hpp>
#include <popalign/lm/judge/answer_judge.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace popalign::evaluation {
namespace {

/// The pair's answer that a judgement names; order 1 shows the second one first.
std::optional<Choice> choice_of(const Judgement& judgement, std::size_t order) {
    if (!judgement.valid())
        return std::nullopt;
    if (judgement.outcome == Outcome::tie)
        return Choice::tie;
    return (judgement.outcome == Outcome::first) == (order == 0) ? Choice::first : Choice::second;
}

std::string row_of(std::size_t index, std::size_t order, const Judgement& judgement) {
    const auto choice = choice_of(judgement, order);
    return nlohmann::ordered_json{
               {"index", index},
               {"order", order},
               {"winner", choice ? nlohmann::ordered_json(static_cast<int>(*choice))
                                 : nlohmann::ordered_json(nullptr)},
               {"probability_first",
                order == 0 ? judgement.probability : 1 - judgement.probability},
               {"raw", judgement.raw}}
               .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
           "\n";
}

}  // namespace

std::optional<std::vector<OrderedChoices>> judge_labelled_pairs(
    const lm::JudgeSpec& judge, const std::vector<LabelledPair>& pairs,
    const lm::JudgingOptions& options, const std::filesystem::path& rows) {
    const comm::Communicator& comm = options.run.ranks.leaders();
    const lm::JudgeKey key = lm::judge_key(comm, judge);
    const Range mine = partition(pairs.size(), comm.rank(), comm.size());
    std::vector<JudgeQuery> queries;
    for (std::size_t i = mine.begin; i < mine.end; ++i) {
        queries.push_back({pairs[i].instruction, pairs[i].first, pairs[i].second});
        queries.push_back(swapped(queries.back()));
    }
    const auto judgements = lm::judge_queries(judge, key, queries, options);
    std::uint64_t missing = 0;
    std::vector<Judgement> judged;
    for (const auto& judgement : judgements) {
        missing += judgement ? 0 : 1;
        judged.push_back(judgement.value_or(Judgement()));
    }
    if (comm::all_reduce<std::uint64_t>(comm, missing, comm::Reduction::sum) > 0)
        return std::nullopt;
    std::vector<OrderedChoices> choices;
    std::string text;
    for (const auto& part : comm::all_gather_objects(comm, judged))
        for (std::size_t i = 0; i < part.size(); ++i) {
            const std::size_t order = i % 2;
            if (order == 0)
                choices.emplace_back();
            choices.back()[order] = choice_of(part[i], order);
            text += row_of(choices.size() - 1, order, part[i]);
        }
    comm::run_on_all(comm, [&] {
        if (!comm.is_root())
            return;
        std::filesystem::create_directories(rows.parent_path());
        write_text_file(rows, text);
    });
    return choices;
}

}  // namespace popalign::evaluation
