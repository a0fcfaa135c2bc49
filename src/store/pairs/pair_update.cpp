#include "store/hdf5/hdf5.hpp"
#include "store/pairs/pair_layout.hpp"

#include <popalign/base/descriptor.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_update.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <tuple>

namespace popalign::store {
namespace {

using namespace pair_layout;

/// Writes the columns of one group; each call takes this rank's rows. All collective.
class TableWriter {
  public:
    TableWriter(hid_t parent, const std::string& name, const comm::Communicator& comm)
        : comm_(comm), group_(hdf5::create_group(parent, name)) {}

    template <class T, class Rows, class Get>
    void number(const std::string& name, const Rows& rows, Get&& get,
                std::string_view meaning = "") {
        std::vector<T> values;
        values.reserve(rows.size());
        for (const auto& row : rows)
            values.push_back(static_cast<T>(get(row)));
        const auto dataset =
            hdf5::write_column<T>(group_.get(), name, std::span<const T>(values), comm_);
        if (!meaning.empty())
            hdf5::write_attribute(dataset.get(), "meaning", std::string(meaning));
    }

    /// `<name>/<part>` with all values behind each other and `<name>/offsets`, one longer than the
    /// rows.
    template <class T, class Rows, class Get>
    void sequence(const std::string& name, const std::string& part, const Rows& rows, Get&& get) {
        std::vector<T> values;
        std::vector<std::uint64_t> offsets;
        for (const auto& row : rows) {
            offsets.push_back(values.size());
            const auto& items = get(row);
            values.insert(values.end(), items.begin(), items.end());
        }
        const std::uint64_t before = comm::exclusive_scan(comm_, values.size());
        if (comm_.rank() == comm_.size() - 1)
            offsets.push_back(values.size());
        for (std::uint64_t& offset : offsets)
            offset += before;
        const hdf5::Group group = hdf5::create_group(group_.get(), name);
        hdf5::write_column<T>(group.get(), part, std::span<const T>(values), comm_);
        hdf5::write_column<std::uint64_t>(group.get(), "offsets",
                                          std::span<const std::uint64_t>(offsets), comm_);
    }
    template <class Rows, class Get>
    void text(const std::string& name, const Rows& rows, Get&& get) {
        sequence<std::uint8_t>(name, "bytes", rows, get);
    }
    hid_t group() const { return group_.get(); }

  private:
    const comm::Communicator& comm_;
    hdf5::Group group_;
};

/// Makes sure that the file will fit: on a full disk HDF5 over MPI-IO crashes, hangs or loses data
/// without a word. Where the file system can, the space stays the file's until HDF5 closes it.
void reserve_space(const std::filesystem::path& partial, std::uint64_t bytes) {
    // The last chunk of each column is stored whole, and groups and indexes take room.
    const std::uint64_t margin =
        (std::uint64_t{1} << 20) + std::min(bytes, std::uint64_t{48} << 20);
    const Descriptor file(::open(partial.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file)
        throw_system_error("create it", partial.native());
    if (::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes + margin)) == 0)
        return;
    if (errno == EOPNOTSUPP || errno == ENOSYS) {
        if (std::filesystem::space(partial).available >= bytes + margin)
            return;
        errno = ENOSPC;
    }
    throw_system_error("reserve its space", partial.native());
}

/// Makes a file with `open(partial)`, fills it with `fill(file)` and puts it in place; removes it
/// if any of that fails. Collective.
template <class Open, class Fill>
void write_atomically(const comm::Communicator& comm, const std::filesystem::path& path,
                      std::uint64_t bytes, Open&& open, Fill&& fill) {
    const std::filesystem::path partial = partial_path(path);
    const auto on_root = [&](auto&& work) {
        comm::run_on_all(comm, [&] {
            if (comm.is_root())
                work();
        });
    };
    try {
        on_root([&] {
            if (path.has_parent_path())
                std::filesystem::create_directories(path.parent_path());
        });
        hdf5::File file = open(partial);
        on_root([&] { reserve_space(partial, bytes); });
        fill(file.get());
        hdf5::close(std::move(file), comm, path.native());
        on_root([&] { commit_path(partial, path); });
    } catch (...) {
        std::error_code ignored;
        if (comm.is_root())
            std::filesystem::remove(partial, ignored);
        throw;
    }
}

void copy_whole(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::error_code code;
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing, code);
    if (code) {
        errno = code.value();
        throw_system_error("copy it", from.native());
    }
}

/// Lets `change` alter a copy of the file that then takes its place. Collective.
template <class Change>
void update_atomically(const comm::Communicator& comm, const std::filesystem::path& path,
                       std::uint64_t added_bytes, Change&& change) {
    const auto size = comm::run_on_all(
        comm, [&] { return comm.is_root() ? std::filesystem::file_size(path) : 0; });
    const auto open_copy = [&](const std::filesystem::path& partial) {
        comm::run_on_all(comm, [&] {
            if (comm.is_root())
                copy_whole(path, partial);
        });
        return hdf5::open_for_update(partial, comm);
    };
    write_atomically(comm, path, size + added_bytes, open_copy, change);
}

/// The pairs of the file, which one rank looks up. Collective.
std::uint64_t count_pairs(const comm::Communicator& comm, const std::filesystem::path& path) {
    std::uint64_t count = comm::run_on_all(
        comm, [&] { return comm.is_root() ? PairFile(path).pair_count() : std::uint64_t{0}; });
    comm::broadcast(comm, std::span(&count, 1));
    return count;
}

void remove_link(hid_t parent, const std::string& name) {
    if (hdf5::exists(parent, name))
        hdf5::check_status(H5Ldelete(parent, name.c_str(), H5P_DEFAULT), "H5Ldelete", name);
}

/// Each rank receives a consecutive share of all verdicts, in the order of the file. Collective.
std::vector<Verdict> in_file_order(const comm::Communicator& comm, std::uint64_t pairs,
                                   std::uint64_t judges, const std::vector<Verdict>& mine) {
    std::vector<std::vector<Verdict>> outgoing(static_cast<std::size_t>(comm.size()));
    for (const Verdict& verdict : mine)
        outgoing[static_cast<std::size_t>(
                     owner(pairs * judges, verdict.judge * pairs + verdict.pair, comm.size()))]
            .push_back(verdict);
    std::vector<Verdict> sorted;
    for (auto& part : comm::all_to_all_objects(comm, outgoing))
        sorted.insert(sorted.end(), std::move_iterator(part.begin()),
                      std::move_iterator(part.end()));
    std::ranges::stable_sort(sorted, {}, [](const Verdict& verdict) {
        return std::tuple(verdict.judge, verdict.pair, verdict.order);
    });
    return sorted;
}

}  // namespace

void write_verdicts(const comm::Communicator& comm, const std::filesystem::path& path,
                    const std::vector<JudgeRow>& judges, const std::vector<Verdict>& mine) {
    const std::uint64_t pairs = count_pairs(comm, path);
    comm::run_on_all(comm, [&] {
        for (const Verdict& verdict : mine)
            if (verdict.pair >= pairs || verdict.judge >= judges.size())
                throw UsageError(
                    fmt::format("{}: there is no pair {} or no judge {} to write a "
                                "verdict of",
                                path.native(), verdict.pair, verdict.judge));
    });
    const std::vector<Verdict> rows = in_file_order(comm, pairs, judges.size(), mine);
    std::uint64_t bytes = 0;
    for (const Verdict& verdict : rows)
        bytes += 40 + verdict.raw.size();
    bytes = comm::all_reduce(comm, bytes, comm::Reduction::sum);
    update_atomically(comm, path, bytes, [&](hid_t file) {
        remove_link(file, "verdicts");
        TableWriter verdicts(file, "verdicts", comm);
        verdicts.number<std::uint64_t>("pair", rows, [](const Verdict& row) { return row.pair; });
        verdicts.number<std::uint32_t>("judge", rows, [](const Verdict& row) { return row.judge; });
        verdicts.number<std::uint8_t>(
            "order", rows, [](const Verdict& row) { return row.order; }, order_meaning);
        verdicts.number<std::uint8_t>(
            "label", rows, [](const Verdict& row) { return row.label; }, label_meaning);
        verdicts.number<double>("probability", rows,
                                [](const Verdict& row) { return row.probability; });
        verdicts.text("raw", rows,
                      [](const Verdict& row) -> const std::string& { return row.raw; });
        verdicts.number<std::uint8_t>("parsed", rows,
                                      [](const Verdict& row) { return row.parsed ? 1 : 0; });
        const std::vector<JudgeRow> none;
        const std::vector<JudgeRow>& known = comm.is_root() ? judges : none;
        TableWriter table(verdicts.group(), "judges", comm);
        table.text("name", known, [](const JudgeRow& row) { return row.name; });
        table.text("model", known, [](const JudgeRow& row) { return row.model; });
        table.text("template", known, [](const JudgeRow& row) { return row.template_name; });
        table.text("template_sha256", known,
                   [](const JudgeRow& row) { return row.template_sha256; });
    });
}

void write_reference(const comm::Communicator& comm, const std::filesystem::path& path,
                     const std::string& key, const PairFile::Reference& reference) {
    const std::uint64_t pairs = count_pairs(comm, path);
    comm::run_on_all(comm, [&] {
        if (reference.chosen_logprob.size() != pairs || key.empty() ||
            reference.rejected_logprob.size() != pairs || key.find('/') != std::string::npos)
            throw UsageError(fmt::format(
                "{}: a reference needs a name without '/' and a value for each of the {} pairs",
                path.native(), pairs));
    });
    update_atomically(comm, path, 32 * reference.chosen_logprob.size(), [&](hid_t file) {
        const Range mine = partition(reference.chosen_logprob.size(), comm.rank(), comm.size());
        const auto part = [&](const std::vector<double>& values) {
            return std::span(values).subspan(mine.begin, mine.size());
        };
        if (!hdf5::exists(file, "reference"))
            hdf5::create_group(file, "reference");
        remove_link(file, "reference/" + key);
        const hdf5::Group group = hdf5::create_group(file, "reference/" + key);
        hdf5::write_column<double>(group.get(), "chosen_logprob", part(reference.chosen_logprob),
                                   comm);
        hdf5::write_column<double>(group.get(), "rejected_logprob",
                                   part(reference.rejected_logprob), comm);
    });
}

}  // namespace popalign::store
