#include "lm/judge/judgement_cache.hpp"

#include <popalign/base/hash.hpp>
#include <popalign/base/random.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/journal/journal_folder.hpp>

#include <fmt/format.h>

namespace popalign::lm {
namespace {

/// One judgement in a journal; `route` leads it to its rank, however many there are.
struct Record {
    std::uint64_t route = 0;
    std::string key;
    Judgement judgement;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& route& key& judgement;
    }
};

std::uint64_t route_of(const Showing& showing) {
    return stable_hash(showing.instruction);
}

int rank_of(std::uint64_t route, int ranks) {
    return static_cast<int>(route % static_cast<std::uint64_t>(ranks));
}

}  // namespace

int judging_rank(const Showing& showing, int ranks) {
    return rank_of(route_of(showing), ranks);
}

std::string content_key(const JudgeKey& judge, const Showing& showing) {
    std::string content;
    for (const std::string* part :
         {&judge.model_sha256, &judge.template_sha256, &showing.instruction, &showing.first,
          &showing.second, &showing.reference, &showing.instruction_2, &showing.first_2,
          &showing.second_2, &showing.reference_2})
        content += fmt::format("{}:{}", part->size(), *part);
    if (judge.template_sha256.empty()) {  // it reads the dialogue itself
        for (const Message& message : showing.dialogue)
            content += fmt::format("{}{}:{}", role_name(message.role), message.content.size(),
                                   message.content);
        content += showing.first_cut ? "cut" : "";
        content += showing.second_cut ? ",cut" : "";
    }
    return sha256_hex(content);
}

JudgementCache::JudgementCache(const comm::Communicator& comm, const std::filesystem::path& folder,
                               const Logger& logger) {
    if (folder.empty())
        return;
    read_journals(comm, folder, logger);
    comm::run_on_all(comm, [&] { journal_.emplace(store::journal_of_rank(comm, folder)); });
}

void JudgementCache::read_journals(const comm::Communicator& comm,
                                   const std::filesystem::path& folder, const Logger& logger) {
    std::vector<std::vector<Record>> outgoing(static_cast<std::size_t>(comm.size()));
    store::read_journal_folder(comm, folder, logger, [&](std::span<const std::byte> payload) {
        auto record = comm::from_bytes<Record>(payload);
        const auto to = static_cast<std::size_t>(rank_of(record.route, comm.size()));
        outgoing[to].push_back(std::move(record));
    });
    for (auto& part : comm::all_to_all_objects(comm, outgoing))
        for (Record& record : part)
            judgements_.emplace(std::move(record.key), std::move(record.judgement));
}

const Judgement* JudgementCache::find(const std::string& key) const {
    const auto found = judgements_.find(key);
    return found == judgements_.end() ? nullptr : &found->second;
}

void JudgementCache::add(const std::string& key, const Showing& showing, Judgement judgement) {
    if (journal_)
        journal_->append(comm::to_bytes(Record{route_of(showing), key, judgement}));
    judgements_.emplace(key, std::move(judgement));
}

void JudgementCache::sync() {
    if (journal_)
        journal_->sync();
}

}  // namespace popalign::lm
