#include "evaluation/answer_journal.hpp"

#include <popalign/base/random.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/journal/journal_folder.hpp>

#include <utility>

namespace popalign::evaluation {
namespace {

struct Record {
    std::string key, text;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& key& text;
    }
};

/// The rank that holds it.
std::size_t holder(const std::string& key, int ranks) {
    return static_cast<std::size_t>(stable_hash(key) % static_cast<std::uint64_t>(ranks));
}

std::unordered_map<std::string, std::string> read(const comm::Communicator& comm,
                                                  const std::filesystem::path& folder,
                                                  const Logger& logger) {
    std::vector<std::vector<Record>> outgoing(static_cast<std::size_t>(comm.size()));
    store::read_journal_folder(comm, folder, logger, [&](std::span<const std::byte> payload) {
        auto record = comm::from_bytes<Record>(payload);
        outgoing[holder(record.key, comm.size())].push_back(std::move(record));
    });
    std::unordered_map<std::string, std::string> texts;
    for (auto& part : comm::all_to_all_objects(comm, outgoing))
        for (Record& record : part)
            texts.emplace(std::move(record.key), std::move(record.text));
    return texts;
}

}  // namespace

AnswerJournal::AnswerJournal(const comm::Communicator& comm, const std::filesystem::path& folder,
                             const Logger& logger)
    : comm_(comm), texts_(read(comm, folder, logger)), journal_(comm::run_on_all(comm, [&] {
          return store::JournalWriter(store::journal_of_rank(comm, folder));
      })) {}

std::vector<std::optional<std::string>> AnswerJournal::find(
    std::span<const std::string> keys) const {
    const auto ranks = static_cast<std::size_t>(comm_.size());
    std::vector<std::vector<std::string>> wanted(ranks), texts(ranks);
    std::vector<std::vector<std::uint8_t>> there(ranks);
    for (const std::string& key : keys)
        wanted[holder(key, comm_.size())].push_back(key);
    const auto asked = comm::all_to_all_objects(comm_, wanted);
    for (std::size_t rank = 0; rank < ranks; ++rank)
        for (const std::string& key : asked[rank]) {
            const auto found = texts_.find(key);
            there[rank].push_back(found != texts_.end() ? 1 : 0);
            texts[rank].push_back(found != texts_.end() ? found->second : "");
        }
    there = comm::all_to_all_objects(comm_, there);
    texts = comm::all_to_all_objects(comm_, texts);
    std::vector<std::size_t> next(ranks, 0);
    std::vector<std::optional<std::string>> result;
    for (const std::string& key : keys) {
        const std::size_t from = holder(key, comm_.size()), at = next[from]++;
        result.push_back(there[from][at] != 0 ? std::optional(std::move(texts[from][at]))
                                              : std::nullopt);
    }
    return result;
}

void AnswerJournal::add(const std::string& key, const std::string& text) {
    constexpr std::uint64_t between_syncs = 16;
    journal_.append(comm::to_bytes(Record{key, text}));
    if (++unsynced_ % between_syncs == 0)
        journal_.sync();
}

}  // namespace popalign::evaluation
