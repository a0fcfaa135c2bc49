#include "store/hdf5/column_reader.hpp"
#include "store/hdf5/hdf5.hpp"
#include "store/pairs/pair_layout.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/range.hpp>
#include <popalign/store/pairs/pair_file.hpp>
#include <popalign/store/rows/messages.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <tuple>
#include <utility>

namespace popalign::store {
namespace {

using namespace pair_layout;

constexpr std::uint64_t rows_per_check = 4096;

template <class Enum>
Enum checked_enum(std::uint8_t value, std::uint8_t last, const char* column) {
    if (value > last)
        throw UsageError(fmt::format("column '{}' holds the unknown value {}", column, value));
    return static_cast<Enum>(value);
}

std::vector<Message> read_context(const std::string& text) {
    if (text.empty())
        return {};
    try {
        return messages_from_json(nlohmann::json::parse(text));
    } catch (const nlohmann::json::exception&) {
        throw UsageError("an instruction's context is no list of messages");
    }
}

}  // namespace

/// The open file and its columns, which stay open.
struct PairFile::Contents {
    template <class T>
    using Columns = std::map<std::string, ColumnReader<T>, std::less<>>;
    template <class T>  // offsets and elements
    using Sequences =
        std::map<std::string,
                 std::pair<const ColumnReader<std::uint64_t>*, const ColumnReader<T>*>>;

    std::filesystem::path path;
    hdf5::File file;
    PairFileHeader header;
    std::uint64_t instructions = 0, responses = 0, pairs = 0, verdicts = 0;
    mutable std::tuple<Columns<std::uint8_t>, Columns<std::uint32_t>, Columns<std::uint64_t>,
                       Columns<std::int32_t>, Columns<double>>
        columns;
    mutable std::tuple<Sequences<std::uint8_t>, Sequences<std::int32_t>> open_sequences;
    mutable std::map<std::string, bool> present;

    /// Runs `body` and puts the file name in front of the message of its errors.
    template <class Body>
    auto guarded(Body&& body) const {
        try {
            return body();
        } catch (const InputError&) {
            throw;
        } catch (const Error& error) {
            throw InputError(path.native(),
                             std::string("damaged pair file (") + error.what() + ")");
        }
    }

    explicit Contents(const std::filesystem::path& file_path)
        : path(file_path), file(hdf5::open_for_reading(file_path)) {
        guarded([&] { read_header(); });
    }

    template <class T>
    const ColumnReader<T>& column(const std::string& name) const {
        auto& open = std::get<Columns<T>>(columns);
        return open.try_emplace(name, file.get(), name).first->second;
    }
    template <class T>
    std::vector<T> numbers(const std::string& name, Range rows) const {
        return column<T>(name).read(rows.begin, rows.size());
    }
    bool has(const std::string& name) const {
        const auto [found, fresh] = present.try_emplace(name, false);
        if (fresh)
            found->second = hdf5::exists(file.get(), name);
        return found->second;
    }
    /// `absent` for each row where the file is from before the column was.
    template <class T>
    std::vector<T> numbers_or(const std::string& name, Range rows, T absent) const {
        return has(name) ? numbers<T>(name, rows) : std::vector<T>(rows.size(), absent);
    }
    /// `make(elements)` for each row's.
    template <class T, class Make>
    void each_sequence(const std::string& name, const char* part, Range rows, Make&& make) const {
        auto& open = std::get<Sequences<T>>(open_sequences);
        auto found = open.find(name);
        if (found == open.end())
            found = open.emplace(name, std::pair(&column<std::uint64_t>(name + "/offsets"),
                                                 &column<T>(name + "/" + part)))
                        .first;
        const auto [offset_column, value_column] = found->second;
        const auto offsets = offset_column->read(rows.begin, rows.size() + 1);
        if (!std::ranges::is_sorted(offsets))
            throw UsageError(fmt::format("the offsets of '{}' decrease", name));
        const auto values = value_column->read(offsets.front(), offsets.back() - offsets.front());
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
            make(std::span(values).subspan(offsets[i] - offsets[0], offsets[i + 1] - offsets[i]));
    }
    template <class T>
    std::vector<std::vector<T>> sequences(const std::string& name, const char* part,
                                          Range rows) const {
        std::vector<std::vector<T>> result;
        each_sequence<T>(name, part, rows, [&](std::span<const T> elements) {
            result.emplace_back(elements.begin(), elements.end());
        });
        return result;
    }
    std::vector<std::string> texts(const std::string& name, Range rows) const {
        std::vector<std::string> result;
        each_sequence<std::uint8_t>(name, "bytes", rows, [&](std::span<const std::uint8_t> bytes) {
            result.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        return result;
    }
    /// Rows of a table, by a text column of it.
    std::uint64_t rows_of(const std::string& text_column) const {
        const auto offsets = column<std::uint64_t>(text_column + "/offsets").size();
        if (offsets == 0)
            throw UsageError(fmt::format("column '{}' has no offsets", text_column));
        return offsets - 1;
    }

    void read_header() {
        const hid_t root = file.get();
        if (H5Aexists(root, "format") <= 0 || hdf5::read_text_attribute(root, "format") != format)
            throw InputError(path.native(), "not a pair file (no format 'popalign.pairs')");
        const auto version = hdf5::read_integer_attribute(root, "format_version");
        if (version != format_version)
            throw InputError(
                path.native(),
                fmt::format("format version {} (this program knows {}); use the program "
                            "that wrote it",
                            version, format_version));
        header.config = hdf5::read_text_attribute(root, "config");
        header.provenance = hdf5::read_text_attribute(root, "provenance");
        read_models();
        const Range generations{0, rows_of("generations/name")};
        const auto names = texts("generations/name", generations);
        const auto models = numbers<std::uint32_t>("generations/model", generations);
        const auto templates = texts("generations/template", generations);
        for (std::size_t i = 0; i < names.size(); ++i) {
            if (models[i] >= header.models.size())
                throw UsageError("a generation's model does not exist");
            header.generations.push_back({names[i], models[i], templates[i]});
        }
        const Range strategies{0, rows_of("strategies/name")};
        const auto strategy_names = texts("strategies/name", strategies);
        const auto levels = texts("strategies/level", strategies);
        const auto variants = texts("strategies/variant", strategies);
        for (std::size_t i = 0; i < strategy_names.size(); ++i)
            header.strategies.push_back({strategy_names[i], levels[i], variants[i]});
        instructions = rows_of("instructions/text");
        responses = rows_of("responses/text");
        pairs = column<std::uint64_t>("pairs/instruction").size();
        if (hdf5::exists(root, "verdicts"))
            verdicts = column<std::uint64_t>("verdicts/pair").size();
    }

    void read_models() {
        const Range rows{0, rows_of("models/name")};
        const auto name = texts("models/name", rows), location = texts("models/path", rows),
                   sha256 = texts("models/sha256", rows),
                   tokenizer = texts("models/tokenizer_sha256", rows),
                   chat = texts("models/template_sha256", rows);
        const auto parameters = numbers<std::uint64_t>("models/parameters", rows);
        for (std::size_t i = 0; i < name.size(); ++i)
            header.models.push_back(
                {name[i], location[i], sha256[i], parameters[i], tokenizer[i], chat[i]});
    }
};

PairFile::PairFile(const std::filesystem::path& path)
    : contents_(std::make_unique<Contents>(path)) {}
PairFile::PairFile(PairFile&&) noexcept = default;
PairFile& PairFile::operator=(PairFile&&) noexcept = default;
PairFile::~PairFile() = default;

const PairFileHeader& PairFile::header() const noexcept {
    return contents_->header;
}
std::uint64_t PairFile::instruction_count() const noexcept {
    return contents_->instructions;
}
std::uint64_t PairFile::response_count() const noexcept {
    return contents_->responses;
}
std::uint64_t PairFile::pair_count() const noexcept {
    return contents_->pairs;
}

std::vector<Instruction> PairFile::instructions(Range rows) const {
    return contents_->guarded([&] {
        const auto id = contents_->texts("instructions/id", rows);
        const auto source = contents_->texts("instructions/source", rows);
        const auto text = contents_->texts("instructions/text", rows);
        const auto split = contents_->numbers<std::uint8_t>("instructions/split", rows);
        const bool dialogues = contents_->has("instructions/context");
        const auto context = dialogues ? contents_->texts("instructions/context", rows)
                                       : std::vector<std::string>(id.size());
        std::vector<Instruction> result;
        for (std::size_t i = 0; i < id.size(); ++i)
            result.push_back({id[i], source[i], text[i], checked_enum<Split>(split[i], 1, "split"),
                              read_context(context[i])});
        return result;
    });
}

std::vector<Response> PairFile::responses(Range rows) const {
    return contents_->guarded([&] {
        const Contents& file = *contents_;
        const auto instruction = file.numbers<std::uint64_t>("responses/instruction", rows);
        const auto generation = file.numbers<std::uint32_t>("responses/generation", rows);
        const auto text = file.texts("responses/text", rows);
        const auto thought = file.texts("responses/thought", rows);
        auto tokens = file.sequences<std::int32_t>("responses/tokens", "values", rows);
        const auto logprob = file.numbers<double>("responses/logprob", rows);
        const auto finish = file.numbers<std::uint8_t>("responses/finish_reason", rows);
        const auto parsed = file.numbers<std::uint8_t>("responses/parsed", rows);
        const auto seed = file.numbers<std::uint64_t>("responses/seed", rows);
        const auto attempts = file.numbers_or<std::uint32_t>("responses/attempts", rows, 1);
        const auto asked = file.numbers_or<std::uint64_t>("responses/prompt_tokens", rows, 0);
        const auto given = file.numbers_or<std::uint64_t>("responses/answer_tokens", rows, 0);
        std::vector<Response> result;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (instruction[i] >= file.instructions ||
                generation[i] >= file.header.generations.size())
                throw UsageError(
                    fmt::format("response {} belongs to an instruction or generation "
                                "that does not exist",
                                rows.begin + i));
            result.push_back({instruction[i], generation[i], text[i], thought[i],
                              std::move(tokens[i]), logprob[i],
                              checked_enum<FinishReason>(finish[i], 1, "finish_reason"),
                              parsed[i] != 0, seed[i], attempts[i], asked[i], given[i]});
        }
        return result;
    });
}

std::vector<Response> PairFile::responses(std::span<const std::uint64_t> rows) const {
    std::vector<Response> result;
    for (std::size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
        for (end = begin + 1; end < rows.size() && rows[end] == rows[end - 1] + 1;)
            ++end;
        for (auto& response : responses(Range{rows[begin], rows[end - 1] + 1}))
            result.push_back(std::move(response));
    }
    return result;
}

std::vector<PreferencePair> PairFile::pairs(Range rows) const {
    return contents_->guarded([&] {
        const Contents& file = *contents_;
        const auto instruction = file.numbers<std::uint64_t>("pairs/instruction", rows);
        const auto strategy = file.numbers<std::uint32_t>("pairs/strategy", rows);
        const auto chosen = file.numbers<std::uint64_t>("pairs/chosen", rows);
        const auto rejected = file.numbers<std::uint64_t>("pairs/rejected", rows);
        const auto flags = file.numbers<std::uint32_t>("pairs/flags", rows);
        std::vector<PreferencePair> result;
        for (std::size_t i = 0; i < instruction.size(); ++i) {
            if (instruction[i] >= file.instructions || chosen[i] >= file.responses ||
                rejected[i] >= file.responses || strategy[i] >= file.header.strategies.size())
                throw UsageError(
                    fmt::format("pair {} points to a row that does not exist", rows.begin + i));
            result.push_back({instruction[i], strategy[i], chosen[i], rejected[i], flags[i]});
        }
        return result;
    });
}

std::vector<JudgeRow> PairFile::judges() const {
    return contents_->guarded([&] {
        std::vector<JudgeRow> result;
        if (!hdf5::exists(contents_->file.get(), "verdicts/judges"))
            return result;
        const Range rows{0, contents_->rows_of("verdicts/judges/name")};
        const auto name = contents_->texts("verdicts/judges/name", rows);
        const auto model = contents_->texts("verdicts/judges/model", rows);
        const auto template_name = contents_->texts("verdicts/judges/template", rows);
        const auto sha256 = contents_->texts("verdicts/judges/template_sha256", rows);
        for (std::size_t i = 0; i < name.size(); ++i)
            result.push_back({name[i], model[i], template_name[i], sha256[i]});
        return result;
    });
}

std::vector<Verdict> PairFile::verdicts() const {
    return contents_->guarded([&] {
        const Contents& file = *contents_;
        std::vector<Verdict> result;
        if (!hdf5::exists(file.file.get(), "verdicts"))
            return result;
        const Range rows{0, file.verdicts};
        const auto pair = file.numbers<std::uint64_t>("verdicts/pair", rows);
        const auto judge = file.numbers<std::uint32_t>("verdicts/judge", rows);
        const auto order = file.numbers<std::uint8_t>("verdicts/order", rows);
        const auto label = file.numbers<std::uint8_t>("verdicts/label", rows);
        const auto probability = file.numbers<double>("verdicts/probability", rows);
        const auto raw = file.texts("verdicts/raw", rows);
        const auto parsed = file.numbers<std::uint8_t>("verdicts/parsed", rows);
        const std::size_t judge_count = judges().size();
        for (std::size_t i = 0; i < pair.size(); ++i) {
            if (pair[i] >= file.pairs || judge[i] >= judge_count)
                throw UsageError(fmt::format("verdict {} points to a row that does not exist", i));
            result.push_back({pair[i], judge[i], checked_enum<AnswerOrder>(order[i], 1, "order"),
                              checked_enum<VerdictLabel>(label[i], 2, "label"), probability[i],
                              raw[i], parsed[i] != 0});
        }
        return result;
    });
}

std::vector<std::string> PairFile::reference_keys() const {
    return contents_->guarded([&] {
        std::vector<std::string> keys;
        if (hdf5::exists(contents_->file.get(), "reference"))
            hdf5::check_status(
                H5Literate_by_name(
                    contents_->file.get(), "reference", H5_INDEX_NAME, H5_ITER_INC, nullptr,
                    [](hid_t, const char* name, const H5L_info_t*, void* list) -> herr_t {
                        static_cast<std::vector<std::string>*>(list)->emplace_back(name);
                        return 0;
                    },
                    &keys, H5P_DEFAULT),
                "H5Literate_by_name", "reference");
        return keys;
    });
}

PairFile::Reference PairFile::reference(const std::string& key) const {
    return contents_->guarded([&] {
        const Range rows{0, contents_->pairs};
        return Reference{
            contents_->numbers<double>("reference/" + key + "/chosen_logprob", rows),
            contents_->numbers<double>("reference/" + key + "/rejected_logprob", rows)};
    });
}

std::vector<std::string> PairFile::verify() const {
    std::vector<std::string> problems;
    const auto attempt = [&](auto&& read) {
        try {
            read();
        } catch (const Error& error) {
            problems.emplace_back(error.what());
        }
    };
    const auto in_parts = [&](std::uint64_t count, auto&& read) {
        for (std::uint64_t begin = 0; begin < count; begin += rows_per_check)
            attempt([&] { read(Range{begin, std::min(begin + rows_per_check, count)}); });
    };
    in_parts(contents_->instructions, [&](Range rows) { instructions(rows); });
    in_parts(contents_->responses, [&](Range rows) { responses(rows); });
    std::vector<std::uint64_t> owners;
    attempt([&] {
        contents_->guarded([&] {
            owners = contents_->numbers<std::uint64_t>("responses/instruction",
                                                       {0, contents_->responses});
        });
    });
    in_parts(contents_->pairs, [&](Range part) {
        std::size_t row = part.begin;
        for (const PreferencePair& pair : pairs(part)) {
            for (const std::uint64_t side : {pair.chosen, pair.rejected})
                if (side < owners.size() && owners[side] != pair.instruction)
                    problems.push_back(fmt::format(
                        "{}: pair {} is of instruction {}, its response {} of instruction {}",
                        contents_->path.native(), row, pair.instruction, side, owners[side]));
            ++row;
        }
    });
    attempt([&] { verdicts(); });
    attempt([&] {
        for (const std::string& key : reference_keys())
            attempt([&] { reference(key); });
    });
    return problems;
}

}  // namespace popalign::store
