#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/journal/journal.hpp>
#include <popalign/store/journal/journalled_map.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace popalign::store {
namespace {

std::vector<std::string> journals_in(const std::filesystem::path& folder) {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".journal")
            paths.push_back(entry.path().native());
    std::ranges::sort(paths);
    return paths;
}

void warn_of(const JournalSummary& summary, const std::string& path, const Logger& logger) {
    for (const DamagedBytes& damaged : summary.damaged)
        logger.warn_local(
            fmt::format("{}: {} bytes at {} are damaged: what was stored there is made again", path,
                        damaged.count, damaged.offset));
    if (summary.torn_bytes > 0)
        logger.warn_local(fmt::format("{}: {} bytes of an unfinished record are left out", path,
                                      summary.torn_bytes));
}

}  // namespace

void read_journal_folder(const comm::Communicator& comm, const std::filesystem::path& folder,
                         const Logger& logger,
                         const std::function<void(std::span<const std::byte>)>& visit) {
    // One rank looks at the folder: on a shared file system ranks may see different lists.
    auto paths = comm::run_on_all(comm, [&] {
        if (!comm.is_root())
            return std::vector<std::string>();
        std::filesystem::create_directories(folder);
        return journals_in(folder);
    });
    paths = comm::broadcast_object(comm, paths);
    comm::run_on_all(comm, [&] {
        for (std::size_t i = static_cast<std::size_t>(comm.rank()); i < paths.size();
             i += static_cast<std::size_t>(comm.size()))
            warn_of(
                read_journal(paths[i], [&](const JournalRecord& found) { visit(found.payload); }),
                paths[i], logger);
    });
}

std::filesystem::path journal_of_rank(const comm::Communicator& comm,
                                      const std::filesystem::path& folder) {
    return folder / fmt::format("rank-{:06}.journal", comm.rank());
}

}  // namespace popalign::store
