#include "store/hdf5/column_stream.hpp"
#include "store/hdf5/layout_driver.hpp"
#include "store/pairs/pair_layout.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_writer.hpp>
#include <popalign/store/rows/messages.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <iterator>
#include <optional>
#include <span>
#include <type_traits>

namespace popalign::store {
namespace {

using namespace pair_layout;

/// Rows of a table and, for a column of sequences, their elements.
struct Extent {
    std::uint64_t rows = 0, elements = 0;
};

std::string context_json(const Instruction& row) {
    return row.context.empty() ? std::string() : messages_to_json(row.context).dump();
}

/// The columns, in the order of the file, are visited with `group(name)`, `number<T>(name, rows,
/// get, count, meaning)` and `sequence<T>(name, part, rows, get, extent)`. These are the tables
/// that all ranks know, which rank 0 writes.
template <class Visitor>
void visit_header(Visitor& v, const PairFileHeader& header) {
    const auto text = [&](const char* name, const auto& rows, auto&& get) {
        std::uint64_t bytes = 0;
        for (const auto& row : rows)
            bytes += get(row).size();
        v.template sequence<std::uint8_t>(name, "bytes", rows, get, {rows.size(), bytes});
    };
    v.group("models");
    text("name", header.models, [](const ModelRow& row) { return row.name; });
    text("path", header.models, [](const ModelRow& row) { return row.path; });
    text("sha256", header.models, [](const ModelRow& row) { return row.sha256; });
    v.template number<std::uint64_t>(
        "parameters", header.models, [](const ModelRow& row) { return row.parameters; },
        header.models.size());
    text("tokenizer_sha256", header.models,
         [](const ModelRow& row) { return row.tokenizer_sha256; });
    text("template_sha256", header.models, [](const ModelRow& row) { return row.template_sha256; });
    v.group("generations");
    text("name", header.generations, [](const GenerationRow& row) { return row.name; });
    v.template number<std::uint32_t>(
        "model", header.generations, [](const GenerationRow& row) { return row.model; },
        header.generations.size());
    text("template", header.generations,
         [](const GenerationRow& row) { return row.template_text; });
    v.group("strategies");
    text("name", header.strategies, [](const StrategyRow& row) { return row.name; });
    text("level", header.strategies, [](const StrategyRow& row) { return row.level; });
    text("variant", header.strategies, [](const StrategyRow& row) { return row.variant; });
}

template <class Visitor>
void visit_instructions(Visitor& v, const std::vector<Instruction>& rows, const PairSizes& size) {
    const std::uint64_t count = size.instructions;
    const auto text = [&](const char* name, auto&& get, std::uint64_t bytes) {
        v.template sequence<std::uint8_t>(name, "bytes", rows, get, {count, bytes});
    };
    v.group("instructions");
    text(
        "id", [](const Instruction& row) -> const std::string& { return row.id; }, size.id_bytes);
    text(
        "source", [](const Instruction& row) -> const std::string& { return row.source; },
        size.source_bytes);
    text(
        "text", [](const Instruction& row) -> const std::string& { return row.text; },
        size.instruction_bytes);
    text("context", context_json, size.context_bytes);
    v.template number<std::uint8_t>(
        "split", rows, [](const Instruction& row) { return row.split; }, count, split_meaning);
}

template <class Visitor>
void visit_responses(Visitor& v, const std::vector<Response>& rows, const PairSizes& size) {
    const std::uint64_t count = size.responses;
    v.group("responses");
    v.template number<std::uint64_t>(
        "instruction", rows, [](const Response& row) { return row.instruction; }, count);
    v.template number<std::uint32_t>(
        "generation", rows, [](const Response& row) { return row.generation; }, count);
    v.template sequence<std::uint8_t>(
        "text", "bytes", rows, [](const Response& row) -> const std::string& { return row.text; },
        {count, size.response_bytes});
    v.template sequence<std::uint8_t>(
        "thought", "bytes", rows,
        [](const Response& row) -> const std::string& { return row.thought; },
        {count, size.thought_bytes});
    v.template sequence<std::int32_t>(
        "tokens", "values", rows,
        [](const Response& row) -> const std::vector<std::int32_t>& { return row.tokens; },
        {count, size.tokens});
    v.template number<double>(
        "logprob", rows, [](const Response& row) { return row.logprob; }, count);
    v.template number<std::uint8_t>(
        "finish_reason", rows, [](const Response& row) { return row.finish_reason; }, count,
        finish_meaning);
    v.template number<std::uint8_t>(
        "parsed", rows, [](const Response& row) { return row.parsed ? 1 : 0; }, count);
    v.template number<std::uint64_t>(
        "seed", rows, [](const Response& row) { return row.seed; }, count);
    v.template number<std::uint32_t>(
        "attempts", rows, [](const Response& row) { return row.attempts; }, count);
    v.template number<std::uint64_t>(
        "prompt_tokens", rows, [](const Response& row) { return row.prompt_tokens; }, count);
    v.template number<std::uint64_t>(
        "answer_tokens", rows, [](const Response& row) { return row.answer_tokens; }, count);
}

template <class Visitor>
void visit_pairs(Visitor& v, const std::vector<PreferencePair>& rows, const PairSizes& size) {
    const std::uint64_t count = size.pairs;
    v.group("pairs");
    v.template number<std::uint64_t>(
        "instruction", rows, [](const PreferencePair& row) { return row.instruction; }, count);
    v.template number<std::uint32_t>(
        "strategy", rows, [](const PreferencePair& row) { return row.strategy; }, count);
    v.template number<std::uint64_t>(
        "chosen", rows, [](const PreferencePair& row) { return row.chosen; }, count);
    v.template number<std::uint64_t>(
        "rejected", rows, [](const PreferencePair& row) { return row.rejected; }, count);
    v.template number<std::uint32_t>(
        "flags", rows, [](const PreferencePair& row) { return row.flags; }, count, flags_meaning());
}

template <class Visitor>
void visit_block(Visitor& v, const PairBlock& block, const PairSizes& size) {
    visit_instructions(v, block.instructions, size);
    visit_responses(v, block.responses, size);
    visit_pairs(v, block.pairs, size);
}

/// Small enough that a random row costs little, not so small that their list takes long to read.
template <class T>
std::uint64_t chunk_rows(std::uint64_t rows) {
    constexpr std::uint64_t most_chunks = 131'072, smallest = 4 << 10, largest = 1 << 20;
    const std::uint64_t bytes =
        std::clamp(std::bit_ceil(rows * sizeof(T) / most_chunks), smallest, largest);
    return std::clamp<std::uint64_t>(rows, 1, (bytes - 4) / sizeof(T));  // 4: the checksum
}

/// Makes the columns of a LayoutFile, without content.
class LayOut {
  public:
    explicit LayOut(hdf5::LayoutFile& file) : file_(file) {}

    void group(const std::string& name) { group_ = hdf5::create_group(file_.get(), name); }
    template <class T, class Rows, class Get>
    void number(const std::string& name, const Rows&, Get&&, std::uint64_t rows,
                std::string_view meaning = "") {
        const auto dataset = column<T>(group_.get(), name, rows);
        if (!meaning.empty())
            hdf5::write_attribute(dataset.get(), "meaning", std::string(meaning));
    }
    template <class T, class Rows, class Get>
    void sequence(const std::string& name, const std::string& part, const Rows&, Get&&,
                  Extent extent) {
        const hdf5::Group group = hdf5::create_group(group_.get(), name);
        column<T>(group.get(), part, extent.elements);
        column<std::uint64_t>(group.get(), "offsets", extent.rows + 1);
    }
    std::vector<ColumnLayout> take() { return std::move(layouts_); }

  private:
    template <class T>
    hdf5::Dataset column(hid_t parent, const std::string& name, std::uint64_t rows) {
        const std::uint64_t chunk = chunk_rows<T>(rows);
        hdf5::Dataset dataset;
        auto addresses = file_.record([&] {
            dataset = hdf5::create_column<T>(parent, name, rows, chunk, H5D_ALLOC_TIME_EARLY);
        });
        layouts_.push_back({rows * sizeof(T), chunk * sizeof(T), std::move(addresses)});
        if (layouts_.back().addresses.size() != (rows + chunk - 1) / chunk)
            throw Error("HDF5 lays a column out in another way than is known of it: " + name);
        return dataset;
    }

    hdf5::LayoutFile& file_;
    hdf5::Group group_;
    std::vector<ColumnLayout> layouts_;
};

/// Opens this rank's streams into the columns; `extent`s say what goes before its rows.
class OpenStreams {
  public:
    OpenStreams(std::vector<ColumnLayout> layouts, std::vector<ColumnStream>& streams,
                std::vector<std::uint64_t>& ends, DataFile& file, bool first)
        : layouts_(std::move(layouts)),
          streams_(streams),
          ends_(ends),
          file_(file),
          first_(first) {}

    void group(const std::string&) {}
    template <class T, class Rows, class Get>
    void number(const std::string&, const Rows&, Get&&, std::uint64_t before,
                std::string_view = "") {
        open(before * sizeof(T), 0);
    }
    template <class T, class Rows, class Get>
    void sequence(const std::string&, const std::string&, const Rows&, Get&&, Extent before) {
        open(before.elements * sizeof(T), 0);
        // A row's end is the next one's offset; the first rank also writes the first.
        const std::uint64_t zero = 0;
        open((before.rows + (first_ ? 0 : 1)) * sizeof zero, before.elements);
        if (first_)
            streams_.back().append(std::as_bytes(std::span(&zero, 1)), file_);
    }

  private:
    void open(std::uint64_t first_byte, std::uint64_t end) {
        streams_.emplace_back(std::move(layouts_.at(streams_.size())), first_byte);
        ends_.push_back(end);
    }

    std::vector<ColumnLayout> layouts_;
    std::vector<ColumnStream>& streams_;
    std::vector<std::uint64_t>& ends_;
    DataFile& file_;
    bool first_;
};

/// Gives rows to the streams, beginning with the stream `first`.
class Append {
  public:
    Append(std::vector<ColumnStream>& streams, std::vector<std::uint64_t>& ends, DataFile& file,
           std::size_t first)
        : streams_(streams), ends_(ends), file_(file), next_(first) {}

    void group(const std::string&) {}
    template <class T, class Rows, class Get>
    void number(const std::string&, const Rows& rows, Get&& get, std::uint64_t,
                std::string_view = "") {
        std::vector<T> values;
        values.reserve(rows.size());
        for (const auto& row : rows)
            values.push_back(static_cast<T>(get(row)));
        append(std::span<const T>(values));
    }
    template <class T, class Rows, class Get>
    void sequence(const std::string&, const std::string&, const Rows& rows, Get&& get, Extent) {
        std::vector<std::uint64_t> offsets;
        offsets.reserve(rows.size());
        std::uint64_t& end = ends_[next_ + 1];
        for (const auto& row : rows) {
            const auto& items = get(row);
            streams_[next_].append(std::as_bytes(std::span(items.data(), items.size())), file_);
            offsets.push_back(end += items.size());
        }
        ++next_;
        append(std::span<const std::uint64_t>(offsets));
    }

  private:
    template <class T>
    void append(std::span<const T> values) {
        streams_[next_++].append(std::as_bytes(values), file_);
    }

    std::vector<ColumnStream>& streams_;
    std::vector<std::uint64_t>& ends_;
    DataFile& file_;
    std::size_t next_;
};

/// The members of `PairSizes`.
constexpr std::array counts{&PairSizes::instructions,   &PairSizes::id_bytes,
                            &PairSizes::source_bytes,   &PairSizes::instruction_bytes,
                            &PairSizes::context_bytes,  &PairSizes::responses,
                            &PairSizes::response_bytes, &PairSizes::thought_bytes,
                            &PairSizes::tokens,         &PairSizes::pairs};
static_assert(sizeof(PairSizes) == counts.size() * sizeof(std::uint64_t));

std::vector<ColumnLayout> lay_out(const std::filesystem::path& path, const PairFileHeader& header,
                                  const PairSizes& sizes) {
    hdf5::LayoutFile file(path);
    hdf5::write_attribute(file.get(), "format", std::string(format));
    hdf5::write_attribute(file.get(), "format_version", format_version);
    hdf5::write_attribute(file.get(), "config", header.config);
    hdf5::write_attribute(file.get(), "provenance", header.provenance);
    std::vector<ColumnLayout> layouts;
    {
        LayOut visitor(file);
        visit_header(visitor, header);
        visit_block(visitor, {}, sizes);
        layouts = visitor.take();
    }
    file.close();
    return layouts;
}

}  // namespace

void PairSizes::add(const Instruction& row) {
    ++instructions;
    id_bytes += row.id.size();
    source_bytes += row.source.size();
    instruction_bytes += row.text.size();
    context_bytes += context_json(row).size();
}

void PairSizes::add(const Response& row) {
    ++responses;
    response_bytes += row.text.size();
    thought_bytes += row.thought.size();
    tokens += row.tokens.size();
}

struct PairFileWriter::State {
    comm::Communicator comm;
    std::filesystem::path path, partial;
    std::vector<ColumnStream> streams;
    std::vector<std::uint64_t> ends;  // by stream of offsets: the last one
    std::optional<DataFile> file;
    std::size_t first_of_block = 0;
    bool committed = false;

    ~State() {
        std::error_code ignored;
        if (!committed && comm.is_root())
            std::filesystem::remove(partial, ignored);
    }

    template <class Work>
    void on_root(Work&& work) {
        comm::run_on_all(comm, [&] {
            if (comm.is_root())
                work();
        });
    }

    void open(const PairFileHeader& header, const PairSizes& mine) {
        PairSizes all, before;
        for (const auto count : counts) {
            all.*count = comm::all_reduce(comm, mine.*count, comm::Reduction::sum);
            before.*count = comm::exclusive_scan(comm, mine.*count);
        }
        std::vector<ColumnLayout> layouts;
        on_root([&] {
            if (path.has_parent_path())
                std::filesystem::create_directories(path.parent_path());
            layouts = lay_out(partial, header, all);
        });
        layouts = comm::broadcast_object(comm, std::move(layouts));
        comm::run_on_all(comm, [&] { file.emplace(partial); });
        on_root([&] { file->reserve(); });
        comm::run_on_all(comm, [&] {
            OpenStreams visitor(std::move(layouts), streams, ends, *file, comm.is_root());
            visit_header(visitor, {});
            first_of_block = streams.size();
            visit_block(visitor, {}, before);
            if (comm.is_root()) {
                Append small_tables(streams, ends, *file, 0);
                visit_header(small_tables, header);
            }
        });
    }

    void commit() {
        write_fragments(comm, streams, *file);
        comm::run_on_all(comm, [&] { file->sync(); });
        on_root([&] { commit_path(partial, path); });
        committed = true;
    }
};

PairFileWriter::PairFileWriter(const comm::Communicator& comm, const std::filesystem::path& path,
                               const PairFileHeader& header, const PairSizes& mine)
    : state_(std::make_unique<State>()) {
    state_->comm = comm;
    state_->path = path;
    state_->partial = partial_path(path);
    state_->open(header, mine);
}
PairFileWriter::~PairFileWriter() = default;

void PairFileWriter::write(const PairBlock& rows) {
    Append visitor(state_->streams, state_->ends, *state_->file, state_->first_of_block);
    visit_block(visitor, rows, {});
}

void PairFileWriter::commit() {
    state_->commit();
}

void write_pair_file(const comm::Communicator& comm, const std::filesystem::path& path,
                     const PairFileHeader& header, const PairBlock& block) {
    PairSizes sizes;
    for (const Instruction& row : block.instructions)
        sizes.add(row);
    for (const Response& row : block.responses)
        sizes.add(row);
    sizes.pairs = block.pairs.size();
    PairFileWriter writer(comm, path, header, sizes);
    comm::run_on_all(comm, [&] { writer.write(block); });
    writer.commit();
}

}  // namespace popalign::store
