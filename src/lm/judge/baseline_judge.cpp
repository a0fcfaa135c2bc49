#include "lm/judge/judge_kinds.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/random.hpp>
#include <popalign/base/text.hpp>

#include <fmt/format.h>

namespace popalign::lm {
namespace {

std::ptrdiff_t length_of(const std::string& text) {
    return static_cast<std::ptrdiff_t>(code_points(text));
}

Judgement certain(std::ptrdiff_t ahead) {
    Judgement judgement;
    judgement.outcome = ahead > 0 ? Outcome::first : ahead < 0 ? Outcome::second : Outcome::tie;
    judgement.probability = ahead > 0 ? 1 : ahead < 0 ? 0 : 0.5;
    return judgement;
}

Judgement longest(const JudgeQuery& query) {
    const auto first = length_of(query.first) + length_of(query.first_2);
    const auto second = length_of(query.second) + length_of(query.second_2);
    Judgement judgement = certain(first - second);
    judgement.raw = fmt::format("{} and {} code points", first, second);
    return judgement;
}

Judgement random(const JudgeQuery& query, std::uint64_t seed) {
    const RandomStream stream(seed, query.instruction + '\0' + query.first + '\0' + query.second,
                              "random judge");
    return certain(stream.uniform(0) < 0.5 ? 1 : -1);
}

class BaselineJudge : public AnswerJudge {
  public:
    using Rule = std::function<Judgement(const JudgeQuery&)>;
    explicit BaselineJudge(Rule rule) : rule_(std::move(rule)) {}

    JudgeUsage judge(std::span<const JudgeQuery> queries,
                     const std::function<void(std::size_t, Judgement)>& done,
                     const std::function<bool()>& keep_going) override {
        for (std::size_t i = 0; i < queries.size() && (!keep_going || keep_going()); ++i)
            done(i, rule_(queries[i]));
        return {};
    }

  private:
    Rule rule_;
};

}  // namespace

std::unique_ptr<AnswerJudge> open_baseline_judge(const std::string& name, std::uint64_t seed) {
    if (name == "longest")
        return std::make_unique<BaselineJudge>(longest);
    if (name == "random")
        return std::make_unique<BaselineJudge>(
            [seed](const JudgeQuery& query) { return random(query, seed); });
    throw UsageError(fmt::format(
        "the judge '{}' is not among `models` and not longest or random; add it there", name));
}

}  // namespace popalign::lm
