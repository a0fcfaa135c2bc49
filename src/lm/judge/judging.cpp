#include "lm/judge/judgement_cache.hpp"

#include <popalign/base/progress.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>

#include <chrono>
#include <unordered_set>

namespace popalign::lm {
namespace {

/// A query on its way to the rank that judges it.
struct SentQuery {
    store::MapKey key;
    JudgeQuery query;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& key& query;
    }
};

/// This rank's part of the work.
struct Work {
    std::vector<JudgeQuery> queries;  ///< to be judged here, each once
    std::vector<store::MapKey> keys;  ///< of these
    std::uint64_t distinct = 0;       ///< queries that came here, with those judged before
};

/// Sends every query to the rank that judges it. `keys` are those of `mine`. Collective.
Work distribute(const comm::Communicator& comm, std::span<const JudgeQuery> mine,
                std::span<const store::MapKey> keys, const JudgementCache& cache) {
    std::vector<std::vector<SentQuery>> outgoing(static_cast<std::size_t>(comm.size()));
    for (std::size_t i = 0; i < mine.size(); ++i)
        outgoing[cache.rank_of(keys[i])].push_back({keys[i], mine[i]});
    Work work;
    std::unordered_set<std::string> seen;
    for (auto& part : comm::all_to_all_objects(comm, outgoing))
        for (auto& [key, query] : part) {
            if (!seen.insert(key.text).second || cache.find(key.text) != nullptr)
                continue;
            work.keys.push_back(std::move(key));
            work.queries.push_back(std::move(query));
        }
    work.distinct = seen.size();
    return work;
}

/// A sum over ranks of whole numbers.
std::uint64_t total(const comm::Communicator& comm, std::uint64_t value) {
    return comm::all_reduce<std::uint64_t>(comm, value, comm::Reduction::sum);
}

/// Logs the work ahead. Collective.
void announce(const comm::Communicator& comm, const JudgeSpec& judge, const Work& work,
              const JudgingReport& report, const Logger& logger) {
    JudgeUsage usage = comm::run_on_all(comm, [&] { return measure_queries(judge, work.queries); });
    usage.prompt_tokens = total(comm, usage.prompt_tokens);
    usage.answer_tokens = total(comm, usage.answer_tokens);
    usage.cost = comm::all_reduce(comm, usage.cost, comm::Reduction::sum);
    logger.info(fmt::format(
        "judge {}: {} judgements asked for, {} of them different, {} known; {} to make, {} "
        "prompt and at most {} answer tokens{}",
        reads_template(judge) ? fmt::format("{} ({})", judge.name, judge.judge_template.name)
                              : judge.name,
        report.asked, report.distinct, report.known, report.distinct - report.known,
        usage.prompt_tokens, usage.answer_tokens,
        usage.cost > 0 ? fmt::format(", cost at most {:.4f}", usage.cost) : ""));
}

/// Asks the judge; `judged` counts.
JudgeUsage judge_all(AnswerJudge& judge, const Work& work, JudgementCache& cache,
                     const JudgingOptions& options, std::uint64_t& judged) {
    Progress progress(options.run.logger, "judge", "judgements", work.queries.size());
    const auto keep_going = [&] {
        return options.deadline == nullptr || !options.deadline->reached();
    };
    const JudgeUsage usage = judge.judge(
        work.queries,
        [&](std::size_t index, Judgement judgement) {
            const store::MapKey& key = work.keys[index];
            cache.add({key.route, key.text, std::move(judgement)});
            progress.advance();
            ++judged;
        },
        keep_going);
    cache.sync();
    return usage;
}

}  // namespace

JudgeKey judge_key(const comm::Communicator& comm, const JudgeSpec& judge) {
    JudgeKey key = comm::run_on_all(comm, [&] {
        JudgeKey found;
        if (!comm.is_root())
            return found;
        found.model_sha256 = identify_judge(judge).sha256;
        if (reads_template(judge))
            found.template_sha256 = judge_template_sha256(judge.judge_template);
        return found;
    });
    key.model_sha256 = comm::broadcast_object(comm, key.model_sha256);
    key.template_sha256 = comm::broadcast_object(comm, key.template_sha256);
    return key;
}

std::vector<std::optional<Judgement>> judge_queries(const JudgeSpec& judge, const JudgeKey& key,
                                                    std::span<const JudgeQuery> mine,
                                                    const JudgingOptions& options,
                                                    JudgingReport* report) {
    constexpr std::uint64_t judgements_per_sync = 64;
    const comm::Communicator& comm = options.run.ranks.leaders();
    const Logger& logger = options.run.logger;
    JudgementCache cache(comm, options.journals, judgements_per_sync, logger);
    std::vector<store::MapKey> keys;
    for (const JudgeQuery& query : mine)
        keys.push_back(judgement_key(key, query));
    const Work work = distribute(comm, mine, keys, cache);
    JudgingReport sums;
    sums.asked = total(comm, mine.size());
    sums.distinct = total(comm, work.distinct);
    sums.known = sums.distinct - total(comm, work.queries.size());
    announce(comm, judge, work, sums, logger);
    if (sums.known < sums.distinct) {
        const auto answer_judge =
            comm::run_on_all(comm, [&] { return open_judge(judge, options.run); });
        const auto start = std::chrono::steady_clock::now();
        std::uint64_t judged = 0;
        const JudgeUsage usage = comm::run_on_all(
            comm, [&] { return judge_all(*answer_judge, work, cache, options, judged); });
        sums.judged = total(comm, judged);
        sums.usage.prompt_tokens = total(comm, usage.prompt_tokens);
        sums.usage.answer_tokens = total(comm, usage.answer_tokens);
        sums.usage.cost = comm::all_reduce(comm, usage.cost, comm::Reduction::sum);
        sums.seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        logger.info(fmt::format(
            "judge {}: {} judgements in {:.1f} s, {} prompt and {} answer tokens{}", judge.name,
            sums.judged, sums.seconds, sums.usage.prompt_tokens, sums.usage.answer_tokens,
            sums.usage.cost > 0 ? fmt::format(", cost {:.4f}", sums.usage.cost) : ""));
    }
    if (report != nullptr)
        *report = sums;
    return cache.find_on_all(keys);
}

}  // namespace popalign::lm
