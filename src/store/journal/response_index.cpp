#include <popalign/base/error.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/journal/response_index.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace popalign::store {
namespace {

std::vector<std::string> list_journals(const std::filesystem::path& directory) {
    std::vector<std::string> paths;
    if (std::filesystem::exists(directory))
        for (const auto& entry : std::filesystem::directory_iterator(directory))
            if (entry.path().extension() == ".journal")
                paths.push_back(entry.path().native());
    std::ranges::sort(paths);
    return paths;
}

}  // namespace

std::filesystem::path journal_path(const std::filesystem::path& directory, int rank) {
    return directory / fmt::format("rank-{:06}.journal", rank);
}

ResponseIndex::ResponseIndex(const comm::Communicator& comm, const std::filesystem::path& directory,
                             std::uint64_t instructions, std::uint32_t generations, Writers writers,
                             const Logger& logger)
    : instructions_(instructions), generations_(generations) {
    // One rank looks at the directory: on a shared file system ranks may see different lists.
    comm::run_on_all(comm, [&] {
        if (comm.is_root())
            journals_ = list_journals(directory);
    });
    journals_ = comm::broadcast_object(comm, std::move(journals_));
    comm::run_on_all(comm, [&] {
        // A rank's own is still in its node's memory.
        const auto ranks = static_cast<std::size_t>(comm.size());
        for (std::size_t journal = 0; journal < journals_.size(); ++journal)
            if (static_cast<int>(journal % ranks) == comm.rank())
                read(journal, writers, logger);
    });
}

void ResponseIndex::read(std::size_t journal, Writers writers, const Logger& logger) {
    const std::string& path = journals_[journal];
    const auto summary = read_journal(path, [&](const JournalRecord& record) {
        const ResponseKey key = read_response_key(record.payload);
        if (key.instruction >= instructions_ || key.generation >= generations_)
            throw Error(path + ": a record lies outside this run's plan; remove the journal");
        responses_.push_back({key,
                              {record.offset, static_cast<std::uint32_t>(record.payload.size()),
                               static_cast<std::uint32_t>(journal)}});
    });
    for (const DamagedBytes& damaged : summary.damaged)
        logger.warn_local(fmt::format(
            "{}: damaged at byte {} ({} bytes with a wrong checksum are passed over); the answers "
            "that stood there are made again",
            path, damaged.offset, damaged.count));
    if (summary.torn_bytes > 0 && writers == Writers::gone)
        logger.warn_local(
            fmt::format("{}: {} bytes of an unfinished record at its end are left out", path,
                        summary.torn_bytes));
}

void RecordReader::read(const JournalPlace& place, std::span<std::byte> record) {
    constexpr std::size_t most_open = 64;
    auto found = open_.find(place.journal);
    if (found == open_.end()) {
        if (open_.size() == most_open)
            open_.clear();
        found = open_.emplace(place.journal, JournalReader(journals_.at(place.journal))).first;
    }
    found->second.read(place.offset, record);
}

}  // namespace popalign::store
