#pragma once

#include <popalign/base/deadline.hpp>
#include <popalign/lm/judge/answer_judge.hpp>

#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace popalign::lm {

struct JudgingOptions {
    JudgeRunOptions run;
    /// Where judgements are journalled; what lies there is not asked again. Empty: nowhere.
    std::filesystem::path journals;
    const Deadline* deadline = nullptr;
};

/// What judging took, over all ranks.
struct JudgingReport {
    std::uint64_t asked = 0;     ///< queries
    std::uint64_t distinct = 0;  ///< different ones among them
    std::uint64_t known = 0;     ///< of these, judged by an earlier run
    std::uint64_t judged = 0;    ///< by this one
    JudgeUsage usage;
    double seconds = 0;

    bool complete() const noexcept { return known + judged == distinct; }
};

/// What identifies a judge in caches: the SHA-256 of its model and of its template, empty where it
/// reads none.
struct JudgeKey {
    std::string model_sha256, template_sha256;
};

/// One rank hashes the model. Throws as `identify_judge`. Collective.
JudgeKey judge_key(const comm::Communicator& comm, const JudgeSpec& judge);

/// Shows every query to the judge once, wherever and how often it is asked for: the ranks share
/// the work by instruction, and what a journal holds of the same judge is taken from there. A
/// judgement counts as made once it is journalled. Says before what is to come and afterwards what
/// it took. Results are in the order of `mine`; nothing for those that the deadline left.
/// Collective over the leaders.
std::vector<std::optional<Judgement>> judge_queries(const JudgeSpec& judge, const JudgeKey& key,
                                                    std::span<const JudgeQuery> mine,
                                                    const JudgingOptions& options,
                                                    JudgingReport* report = nullptr);

}  // namespace popalign::lm
