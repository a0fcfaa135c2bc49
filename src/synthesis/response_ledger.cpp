#include "synthesis/response_ledger.hpp"

#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace popalign {
namespace {

std::vector<std::filesystem::path> list_journals(const std::filesystem::path& directory) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
        if (entry.path().extension() == ".journal")
            paths.push_back(entry.path());
    std::ranges::sort(paths);
    return paths;
}

}  // namespace

ResponseLedger::ResponseLedger(const Communicator& comm, std::size_t instructions,
                               std::size_t generations, Needs needs)
    : instructions_(instructions),
      generations_(generations),
      rows_(partition(instructions, comm.rank(), comm.size())),
      needs_(std::move(needs)),
      responses_(rows_.size() * generations) {
    for (std::size_t i = rows_.begin; i < rows_.end; ++i)
        for (std::size_t g = 0; g < generations_; ++g)
            wanted_ += needs_(i, g) ? 1 : 0;
}

ResponseLedger::ResponseLedger(const Communicator& comm, const std::filesystem::path& directory,
                               std::size_t instructions, std::size_t generations, Needs needs,
                               const Logger& logger)
    : ResponseLedger(comm, instructions, generations, std::move(needs)) {
    read_journals(comm, directory, logger);
    run_on_all(comm, [&] {
        journal_.emplace(directory / fmt::format("rank-{:06}.journal", comm.rank()));
    });
}

void ResponseLedger::read_journals(const Communicator& comm, const std::filesystem::path& directory,
                                   const Logger& logger) {
    // One rank looks at the directory: on a shared file system ranks may see different lists.
    std::vector<std::string> names;
    run_on_all(comm, [&] {
        if (!comm.is_root())
            return;
        std::filesystem::create_directories(directory);
        for (const auto& path : list_journals(directory))
            names.push_back(path.native());
    });
    names = broadcast_object(comm, names);

    std::vector<std::vector<Response>> outgoing(static_cast<std::size_t>(comm.size()));
    run_on_all(comm, [&] {
        for (std::size_t i = 0; i < names.size(); ++i) {
            if (static_cast<int>(i % static_cast<std::size_t>(comm.size())) != comm.rank())
                continue;
            const auto summary = read_journal(names[i], [&](std::span<const std::byte> payload) {
                auto response = from_bytes<Response>(payload);
                if (response.instruction >= instructions_ || response.generation >= generations_)
                    throw Error(names[i] +
                                ": a record lies outside this run's plan; remove the "
                                "journal");
                const int to = owner(instructions_, response.instruction, comm.size());
                outgoing[static_cast<std::size_t>(to)].push_back(std::move(response));
            });
            if (summary.torn_bytes > 0)
                logger.warn_local(fmt::format("{}: {} bytes of an unfinished record are left out",
                                              names[i], summary.torn_bytes));
        }
    });
    std::size_t repeated = 0;
    for (auto& part : all_to_all_objects(comm, outgoing))
        for (auto& response : part)
            repeated += place(std::move(response)) ? 0 : 1;
    if (repeated > 0)
        logger.warn_local(fmt::format("{} responses were journalled twice", repeated));
}

std::size_t ResponseLedger::slot(std::uint64_t instruction, std::size_t generation) const {
    return (static_cast<std::size_t>(instruction) - rows_.begin) * generations_ + generation;
}

const std::optional<Response>& ResponseLedger::find(std::uint64_t instruction,
                                                    std::size_t generation) const {
    return responses_.at(slot(instruction, generation));
}

bool ResponseLedger::place(Response response) {
    auto& place = responses_.at(slot(response.instruction, response.generation));
    if (place)
        return false;
    place = std::move(response);
    ++made_;
    return true;
}

void ResponseLedger::add(const Response& response) {
    if (journal_)
        journal_->append(to_bytes(response));
    place(response);
}

void ResponseLedger::sync() {
    if (journal_)
        journal_->sync();
}

std::vector<Response> ResponseLedger::take() {
    std::vector<Response> all;
    all.reserve(wanted_);
    for (auto& response : responses_)
        if (response)
            all.push_back(std::move(*response));
    responses_.clear();
    return all;
}

}  // namespace popalign
