#pragma once

#include <popalign/base/log.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/journal/journal.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace popalign::store {

/// Reads all journals in a folder, each on one rank, however many ranks wrote them. `visit` gets
/// the payloads of this rank's share. Creates the folder if it does not exist. Logs damaged and
/// torn records. Collective.
void read_journal_folder(const comm::Communicator& comm, const std::filesystem::path& folder,
                         const Logger& logger,
                         const std::function<void(std::span<const std::byte>)>& visit);

/// Returns the path of the journal that this rank writes.
std::filesystem::path journal_of_rank(const comm::Communicator& comm,
                                      const std::filesystem::path& folder);

/// Key of an entry of a JournalledMap. The rank `route` modulo the number of ranks holds the entry.
struct MapKey {
    std::uint64_t route = 0;
    std::string text;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& route& text;
    }
};

/// Map whose entries are distributed over the ranks and journalled as they are added. Entries of
/// earlier runs are found again, on any number of ranks, and a killed writer loses none.
///
/// `Entry` is a record of the journals: serialisable by `comm::to_bytes`, with a member `value` and
/// a function `MapKey key() const`.
template <class Entry>
class JournalledMap {
  public:
    using Value = decltype(Entry::value);

    /// Reads all journals in `folder`, each on one rank, and opens this rank's journal, which is
    /// flushed to the device after every `entries_per_sync` entries. With an empty `folder` nothing
    /// is journalled. Throws AgreedError. Collective.
    JournalledMap(const comm::Communicator& comm, const std::filesystem::path& folder,
                  std::uint64_t entries_per_sync, const Logger& logger)
        : comm_(comm),
          entries_per_sync_(entries_per_sync),
          outgoing_(static_cast<std::size_t>(comm.size())) {
        if (folder.empty())
            return;
        read_journal_folder(comm, folder, logger, [&](std::span<const std::byte> payload) {
            auto entry = comm::from_bytes<Entry>(payload);
            outgoing_[rank_of(entry.key())].push_back(std::move(entry));
        });
        exchange();
        comm::run_on_all(comm, [&] { journal_.emplace(journal_of_rank(comm, folder)); });
    }

    /// Returns the rank that holds the entry.
    std::size_t rank_of(const MapKey& key) const {
        return static_cast<std::size_t>(key.route % outgoing_.size());
    }

    /// Finds an entry among those of this rank. Returns null if it is not there.
    const Value* find(const std::string& key) const {
        const auto found = values_.find(key);
        return found == values_.end() ? nullptr : &found->second;
    }

    /// Finds entries on all ranks. Returns the values in the order of `keys`. Collective.
    std::vector<std::optional<Value>> find_on_all(std::span<const MapKey> keys) {
        exchange();
        std::vector<std::vector<std::string>> wanted(outgoing_.size());
        for (const MapKey& key : keys)
            wanted[rank_of(key)].push_back(key.text);
        std::vector<std::vector<Reply>> replies;
        for (const auto& texts : comm::all_to_all_objects(comm_, wanted)) {
            auto& part = replies.emplace_back();
            for (const std::string& text : texts) {
                const Value* value = find(text);
                part.push_back(value == nullptr ? Reply{} : Reply{true, *value});
            }
        }
        replies = comm::all_to_all_objects(comm_, replies);
        std::vector<std::size_t> taken(replies.size(), 0);
        std::vector<std::optional<Value>> values;
        for (const MapKey& key : keys) {
            const std::size_t rank = rank_of(key);
            Reply& reply = replies[rank][taken[rank]++];
            values.push_back(reply.found ? std::optional(std::move(reply.value)) : std::nullopt);
        }
        return values;
    }

    /// Adds and journals an entry. An entry that belongs to another rank is sent to it by the next
    /// `find_on_all`.
    void add(Entry entry) {
        if (journal_) {
            journal_->append(comm::to_bytes(entry));
            if (++added_ % entries_per_sync_ == 0)
                sync();
        }
        const std::size_t rank = rank_of(entry.key());
        if (rank == static_cast<std::size_t>(comm_.rank()))
            hold(std::move(entry));
        else
            outgoing_[rank].push_back(std::move(entry));
    }

    /// Flushes the journal to the device.
    void sync() {
        if (journal_)
            journal_->sync();
    }

  private:
    struct Reply {
        bool found = false;
        Value value = {};

        template <class Archive>
        void serialize(Archive& archive, unsigned) {
            archive& found& value;
        }
    };

    void hold(Entry entry) { values_.emplace(entry.key().text, std::move(entry.value)); }
    void exchange() {
        auto incoming = comm::all_to_all_objects(comm_, outgoing_);
        outgoing_.assign(outgoing_.size(), {});
        for (auto& part : incoming)
            for (Entry& entry : part)
                hold(std::move(entry));
    }

    comm::Communicator comm_;
    std::uint64_t entries_per_sync_, added_ = 0;
    std::unordered_map<std::string, Value> values_;  ///< of the entries that this rank holds
    std::vector<std::vector<Entry>> outgoing_;       ///< by the rank that holds them
    std::optional<JournalWriter> journal_;
};

}  // namespace popalign::store
