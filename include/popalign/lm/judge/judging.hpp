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
    /// Folder in which judgements are journalled; journalled queries are not asked again. Empty: no
    /// journals.
    std::filesystem::path journals;
    const Deadline* deadline = nullptr;
};

/// Counts and costs of judging, over all ranks.
struct JudgingReport {
    std::uint64_t asked = 0;     ///< queries
    std::uint64_t distinct = 0;  ///< distinct queries among them
    std::uint64_t known = 0;     ///< distinct queries judged by an earlier run
    std::uint64_t judged = 0;    ///< distinct queries judged by this run
    JudgeUsage usage;
    double seconds = 0;

    bool complete() const noexcept { return known + judged == distinct; }
};

/// Key of a judge in caches: the SHA-256 of its model and of its template; empty if it has none.
struct JudgeKey {
    std::string model_sha256, template_sha256;
};

/// Returns the key of a judge; one rank hashes the model. Throws as `identify_judge`. Collective.
JudgeKey judge_key(const comm::Communicator& comm, const JudgeSpec& judge);

/// Judges every distinct query of all ranks once. The ranks divide the work by instruction and take
/// judgements of the same judge from the journals. A judgement counts as made when it is
/// journalled. Logs the work ahead and the cost afterwards. Results are in the order of `mine`;
/// nothing for queries that the deadline left open. Collective over the leaders.
std::vector<std::optional<Judgement>> judge_queries(const JudgeSpec& judge, const JudgeKey& key,
                                                    std::span<const JudgeQuery> mine,
                                                    const JudgingOptions& options,
                                                    JudgingReport* report = nullptr);

}  // namespace popalign::lm
