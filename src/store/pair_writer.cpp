#include "store/hdf5.hpp"
#include "store/pair_layout.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pair_store.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace popalign {
namespace {

using namespace pair_layout;

/// Writes the columns of one group; each call takes this rank's rows. All collective.
class TableWriter {
  public:
    TableWriter(hid_t parent, const std::string& name, const Communicator& comm)
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
        const std::uint64_t before = exclusive_scan(comm_, values.size());
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
    const Communicator& comm_;
    hdf5::Group group_;
};

void write_header(hid_t file, const PairFileHeader& header, const Communicator& comm) {
    hdf5::write_attribute(file, "format", std::string(format));
    hdf5::write_attribute(file, "format_version", format_version);
    hdf5::write_attribute(file, "config", header.config);
    hdf5::write_attribute(file, "provenance", header.provenance);
    // Tables that all ranks know are rank 0's to write.
    const PairFileHeader empty;
    const PairFileHeader& mine = comm.is_root() ? header : empty;
    TableWriter models(file, "models", comm);
    models.text("name", mine.models, [](const ModelRow& row) { return row.name; });
    models.text("path", mine.models, [](const ModelRow& row) { return row.path; });
    models.text("sha256", mine.models, [](const ModelRow& row) { return row.sha256; });
    models.number<std::uint64_t>("parameters", mine.models,
                                 [](const ModelRow& row) { return row.parameters; });
    models.text("tokenizer_sha256", mine.models,
                [](const ModelRow& row) { return row.tokenizer_sha256; });
    models.text("template_sha256", mine.models,
                [](const ModelRow& row) { return row.template_sha256; });
    TableWriter generations(file, "generations", comm);
    generations.text("name", mine.generations, [](const GenerationRow& row) { return row.name; });
    generations.number<std::uint32_t>("model", mine.generations,
                                      [](const GenerationRow& row) { return row.model; });
    generations.text("template", mine.generations,
                     [](const GenerationRow& row) { return row.template_text; });
    TableWriter strategies(file, "strategies", comm);
    strategies.text("name", mine.strategies, [](const StrategyRow& row) { return row.name; });
    strategies.text("level", mine.strategies, [](const StrategyRow& row) { return row.level; });
    strategies.text("variant", mine.strategies, [](const StrategyRow& row) { return row.variant; });
}

void write_block(hid_t file, const PairBlock& block, const Communicator& comm) {
    TableWriter instructions(file, "instructions", comm);
    instructions.text("id", block.instructions, [](const Instruction& row) { return row.id; });
    instructions.text("source", block.instructions,
                      [](const Instruction& row) { return row.source; });
    instructions.text("text", block.instructions, [](const Instruction& row) { return row.text; });
    instructions.number<std::uint8_t>(
        "split", block.instructions, [](const Instruction& row) { return row.split; },
        split_meaning);

    TableWriter responses(file, "responses", comm);
    responses.number<std::uint64_t>("instruction", block.responses,
                                    [](const Response& row) { return row.instruction; });
    responses.number<std::uint32_t>("generation", block.responses,
                                    [](const Response& row) { return row.generation; });
    responses.text("text", block.responses,
                   [](const Response& row) -> const std::string& { return row.text; });
    responses.text("thought", block.responses,
                   [](const Response& row) -> const std::string& { return row.thought; });
    responses.sequence<std::int32_t>(
        "tokens", "values", block.responses,
        [](const Response& row) -> const std::vector<std::int32_t>& { return row.tokens; });
    responses.number<double>("logprob", block.responses,
                             [](const Response& row) { return row.logprob; });
    responses.number<std::uint8_t>(
        "finish_reason", block.responses, [](const Response& row) { return row.finish_reason; },
        finish_meaning);
    responses.number<std::uint8_t>("parsed", block.responses,
                                   [](const Response& row) { return row.parsed ? 1 : 0; });
    responses.number<std::uint64_t>("seed", block.responses,
                                    [](const Response& row) { return row.seed; });

    TableWriter pairs(file, "pairs", comm);
    pairs.number<std::uint64_t>("instruction", block.pairs,
                                [](const PreferencePair& row) { return row.instruction; });
    pairs.number<std::uint32_t>("strategy", block.pairs,
                                [](const PreferencePair& row) { return row.strategy; });
    pairs.number<std::uint64_t>("chosen", block.pairs,
                                [](const PreferencePair& row) { return row.chosen; });
    pairs.number<std::uint64_t>("rejected", block.pairs,
                                [](const PreferencePair& row) { return row.rejected; });
    pairs.number<std::uint32_t>(
        "flags", block.pairs, [](const PreferencePair& row) { return row.flags; }, flags_meaning);
}

std::uint64_t block_bytes(const PairBlock& block) {
    std::uint64_t bytes = 0;
    for (const auto& row : block.instructions)
        bytes += 32 + row.id.size() + row.source.size() + row.text.size();
    for (const auto& row : block.responses)
        bytes += 64 + row.text.size() + row.thought.size() + 4 * row.tokens.size();
    return bytes + 32 * block.pairs.size();
}

/// Makes sure that the file will fit: HDF5 cannot leave a full disk gracefully.
void reserve_space(const std::filesystem::path& partial, std::uint64_t bytes) {
    constexpr std::uint64_t margin = std::uint64_t{1} << 20;
    const int descriptor = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0)
        throw_system_error("create it", partial.native());
    const int code =
        ::posix_fallocate(descriptor, 0, static_cast<off_t>(bytes + bytes / 8 + margin));
    ::close(descriptor);
    if (code == ENOSPC || code == EDQUOT) {
        errno = code;
        throw_system_error("reserve its space", partial.native());
    }
}

/// Runs `write(partial)` on all ranks and puts the result in place; removes it if that fails.
template <class Write>
void write_atomically(const Communicator& comm, const std::filesystem::path& path,
                      std::uint64_t bytes, Write&& write) {
    const std::filesystem::path partial = partial_path(path);
    const auto remove_partial = [&] {
        std::error_code ignored;
        std::filesystem::remove(partial, ignored);
    };
    try {
        run_on_all(comm, [&] {
            if (!comm.is_root())
                return;
            if (path.has_parent_path())
                std::filesystem::create_directories(path.parent_path());
            reserve_space(partial, bytes);
        });
        write(partial);
        run_on_all(comm, [&] {
            if (comm.is_root())
                commit_path(partial, path);
        });
    } catch (...) {
        remove_partial();
        throw;
    }
}

/// Lets `change` alter a copy of the file that then takes its place. Collective.
template <class Change>
void update_atomically(const Communicator& comm, const std::filesystem::path& path,
                       std::uint64_t added_bytes, Change&& change) {
    const auto size =
        run_on_all(comm, [&] { return comm.is_root() ? std::filesystem::file_size(path) : 0; });
    write_atomically(comm, path, size + added_bytes, [&](const std::filesystem::path& partial) {
        run_on_all(comm, [&] {
            if (comm.is_root())
                std::filesystem::copy_file(path, partial,
                                           std::filesystem::copy_options::overwrite_existing);
        });
        hdf5::File file = hdf5::open_for_update(partial, comm);
        change(file.get());
        hdf5::close(std::move(file), path.native());
    });
}

void remove_link(hid_t parent, const std::string& name) {
    if (hdf5::exists(parent, name))
        hdf5::check_status(H5Ldelete(parent, name.c_str(), H5P_DEFAULT), "H5Ldelete", name);
}

/// Each rank receives a consecutive share of all verdicts, in the order of the file. Collective.
std::vector<Verdict> in_file_order(const Communicator& comm, const std::vector<Verdict>& mine) {
    std::vector<std::vector<Verdict>> outgoing(static_cast<std::size_t>(comm.size()));
    // Ranks own ranges of (judge, pair): counts decide the ranges, so that no rank holds all.
    std::uint64_t last_pair = 0, last_judge = 0;
    for (const Verdict& verdict : mine) {
        last_pair = std::max(last_pair, verdict.pair + 1);
        last_judge = std::max<std::uint64_t>(last_judge, verdict.judge + 1);
    }
    last_pair = all_reduce(comm, last_pair, Reduction::maximum);
    last_judge = all_reduce(comm, last_judge, Reduction::maximum);
    const std::size_t cells = static_cast<std::size_t>(last_pair * last_judge);
    for (const Verdict& verdict : mine)
        outgoing[static_cast<std::size_t>(
                     owner(cells, verdict.judge * last_pair + verdict.pair, comm.size()))]
            .push_back(verdict);
    std::vector<Verdict> sorted;
    for (auto& part : all_to_all_objects(comm, outgoing))
        sorted.insert(sorted.end(), part.begin(), part.end());
    std::ranges::sort(sorted, {}, [](const Verdict& verdict) {
        return std::tuple(verdict.judge, verdict.pair, verdict.order);
    });
    return sorted;
}

}  // namespace

void write_pair_file(const Communicator& comm, const std::filesystem::path& path,
                     const PairFileHeader& header, const PairBlock& block) {
    const auto bytes = all_reduce<std::uint64_t>(comm, block_bytes(block), Reduction::sum) +
                       header.config.size() + header.provenance.size();
    write_atomically(comm, path, bytes, [&](const std::filesystem::path& partial) {
        hdf5::File file = hdf5::create_file(partial, comm);
        write_header(file.get(), header, comm);
        write_block(file.get(), block, comm);
        hdf5::close(std::move(file), path.native());
    });
}

void write_verdicts(const Communicator& comm, const std::filesystem::path& path,
                    const std::vector<JudgeRow>& judges, const std::vector<Verdict>& mine) {
    const std::vector<Verdict> rows = in_file_order(comm, mine);
    const auto count = all_reduce<std::uint64_t>(comm, rows.size(), Reduction::sum);
    update_atomically(comm, path, 256 * count, [&](hid_t file) {
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

void write_reference(const Communicator& comm, const std::filesystem::path& path,
                     const std::string& key, const PairFile::Reference& reference) {
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

}  // namespace popalign
