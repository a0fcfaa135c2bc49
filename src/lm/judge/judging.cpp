#include "lm/judge/judgement_cache.hpp"

#include <popalign/base/progress.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>

#include <chrono>
#include <unordered_set>

namespace popalign::lm {
namespace {

/// What is asked of this rank.
struct Work {
    std::vector<std::vector<Showing>> incoming;  ///< by the rank that asks
    std::vector<std::vector<std::string>> keys;  ///< of these
    std::vector<const Showing*> missing;         ///< each once
    std::vector<std::string> missing_keys;
    std::uint64_t distinct = 0;
};

Work receive(const comm::Communicator& comm, const JudgeKey& key, std::span<const Showing> mine,
             const JudgementCache& cache) {
    std::vector<std::vector<Showing>> outgoing(static_cast<std::size_t>(comm.size()));
    for (const Showing& showing : mine)
        outgoing[static_cast<std::size_t>(judging_rank(showing, comm.size()))].push_back(showing);
    Work work;
    work.incoming = comm::all_to_all_objects(comm, outgoing);
    std::unordered_set<std::string> seen;
    for (const auto& part : work.incoming) {
        auto& keys = work.keys.emplace_back();
        for (const Showing& showing : part) {
            keys.push_back(content_key(key, showing));
            if (!seen.insert(keys.back()).second)
                continue;
            ++work.distinct;
            if (cache.find(keys.back()) == nullptr) {
                work.missing.push_back(&showing);
                work.missing_keys.push_back(keys.back());
            }
        }
    }
    return work;
}

/// A sum over ranks of whole numbers.
std::uint64_t total(const comm::Communicator& comm, std::uint64_t value) {
    return comm::all_reduce<std::uint64_t>(comm, value, comm::Reduction::sum);
}

/// Says what is to come. Collective.
void announce(const comm::Communicator& comm, const JudgeSpec& judge, const Work& work,
              const JudgingReport& report, const Logger& logger) {
    JudgeUsage usage =
        comm::run_on_all(comm, [&] { return measure_showings(judge, work.missing); });
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

/// Asks the judge for what this rank lacks.
JudgeUsage make(AnswerJudge& judge, const Work& work, JudgementCache& cache,
                const JudgingOptions& options, std::uint64_t& made) {
    std::vector<Showing> showings;
    for (const Showing* showing : work.missing)
        showings.push_back(*showing);
    Progress progress(options.run.logger, "judge", "judgements", showings.size());
    const auto keep_going = [&] {
        return options.deadline == nullptr || !options.deadline->reached();
    };
    constexpr std::uint64_t between_syncs = 64;
    const JudgeUsage usage = judge.judge(
        showings,
        [&](std::size_t index, Judgement judgement) {
            cache.add(work.missing_keys[index], showings[index], std::move(judgement));
            progress.advance();
            if (++made % between_syncs == 0)
                cache.sync();
        },
        keep_going);
    cache.sync();
    return usage;
}

/// Sends the judgements back to where they were asked for, in that order.
std::vector<std::optional<Judgement>> answer(const comm::Communicator& comm, const Work& work,
                                             std::span<const Showing> mine,
                                             const JudgementCache& cache) {
    std::vector<std::vector<Judgement>> found(work.keys.size());
    std::vector<std::vector<std::uint8_t>> there(work.keys.size());
    for (std::size_t rank = 0; rank < work.keys.size(); ++rank)
        for (const std::string& key : work.keys[rank]) {
            const Judgement* judgement = cache.find(key);
            there[rank].push_back(judgement != nullptr ? 1 : 0);
            if (judgement != nullptr)
                found[rank].push_back(*judgement);
        }
    auto judgements = comm::all_to_all_objects(comm, found);
    const auto whether = comm::all_to_all_objects(comm, there);
    std::vector<std::size_t> next(whether.size(), 0), taken(whether.size(), 0);
    std::vector<std::optional<Judgement>> result;
    for (const Showing& showing : mine) {
        const auto from = static_cast<std::size_t>(judging_rank(showing, comm.size()));
        auto& place = result.emplace_back();
        if (whether[from][next[from]++] != 0)
            place = std::move(judgements[from][taken[from]++]);
    }
    return result;
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

std::vector<std::optional<Judgement>> judge_showings(const JudgeSpec& judge, const JudgeKey& key,
                                                     std::span<const Showing> mine,
                                                     const JudgingOptions& options,
                                                     JudgingReport* report) {
    const comm::Communicator& comm = options.run.ranks.leaders();
    const Logger& logger = options.run.logger;
    JudgementCache cache(comm, options.journals, logger);
    const Work work = receive(comm, key, mine, cache);
    JudgingReport made;
    made.asked = total(comm, mine.size());
    made.distinct = total(comm, work.distinct);
    made.known = made.distinct - total(comm, work.missing.size());
    announce(comm, judge, work, made, logger);
    if (made.known < made.distinct) {
        const auto answer_judge =
            comm::run_on_all(comm, [&] { return open_judge(judge, options.run); });
        const auto start = std::chrono::steady_clock::now();
        std::uint64_t here = 0;
        const JudgeUsage usage =
            comm::run_on_all(comm, [&] { return make(*answer_judge, work, cache, options, here); });
        made.judged = total(comm, here);
        made.usage.prompt_tokens = total(comm, usage.prompt_tokens);
        made.usage.answer_tokens = total(comm, usage.answer_tokens);
        made.usage.cost = comm::all_reduce(comm, usage.cost, comm::Reduction::sum);
        made.seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        logger.info(fmt::format(
            "judge {}: {} judgements in {:.1f} s, {} prompt and {} answer tokens{}", judge.name,
            made.judged, made.seconds, made.usage.prompt_tokens, made.usage.answer_tokens,
            made.usage.cost > 0 ? fmt::format(", cost {:.4f}", made.usage.cost) : ""));
    }
    if (report != nullptr)
        *report = made;
    return answer(comm, work, mine, cache);
}

}  // namespace popalign::lm
