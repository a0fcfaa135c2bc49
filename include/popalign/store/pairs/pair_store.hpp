#pragma once

#include <popalign/base/range.hpp>
#include <popalign/comm/communicator.hpp>
#include <popalign/record/instruction.hpp>
#include <popalign/record/preference_pair.hpp>
#include <popalign/record/response.hpp>
#include <popalign/record/verdict.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store {

struct ModelRow {
    std::string name, path, sha256;
    std::uint64_t parameters = 0;
    std::string tokenizer_sha256, template_sha256;
    bool operator==(const ModelRow&) const = default;
};

struct GenerationRow {
    std::string name;           ///< e.g. "teacher/prefix/chosen"
    std::uint32_t model = 0;    ///< row of /models
    std::string template_text;  ///< column `template`: the turns, as YAML
    bool operator==(const GenerationRow&) const = default;
};

struct StrategyRow {
    std::string name, level, variant;
    bool operator==(const StrategyRow&) const = default;
};

/// The small tables, known to all ranks.
struct PairFileHeader {
    std::string config;      ///< YAML
    std::string provenance;  ///< JSON
    std::vector<ModelRow> models;
    std::vector<GenerationRow> generations;
    std::vector<StrategyRow> strategies;
};

/// One rank's consecutive rows of the large tables; row numbers inside are global.
struct PairBlock {
    std::vector<Instruction> instructions;
    std::vector<Response> responses;
    std::vector<PreferencePair> pairs;
};

/// Writes format version 1 (the contract's layout) in parallel: the ranks' blocks follow each other
/// in rank order. Written beside, synced and renamed; on failure nothing is left. The file's bytes
/// depend neither on the number of ranks nor on the time (a serial communicator's, which HDF5
/// places otherwise, hold the same). Throws AgreedError. Collective.
void write_pair_file(const comm::Communicator& comm, const std::filesystem::path& path,
                     const PairFileHeader& header, const PairBlock& block);

struct JudgeRow {
    std::string name;   ///< e.g. "teacher"
    std::string model;  ///< sha256 of the model
    std::string template_name;
    std::string template_sha256;
    bool operator==(const JudgeRow&) const = default;
};

/// Reads a pair file on one rank, independently of the others. Throws InputError for another format
/// or format version, missing columns, and offsets, row numbers or enumerators out of bounds.
class PairFile {
  public:
    explicit PairFile(const std::filesystem::path& path);
    PairFile(PairFile&&) noexcept;
    PairFile& operator=(PairFile&&) noexcept;
    ~PairFile();

    const PairFileHeader& header() const noexcept;
    std::uint64_t instruction_count() const noexcept;
    std::uint64_t response_count() const noexcept;
    std::uint64_t pair_count() const noexcept;

    std::vector<Instruction> instructions(Range rows) const;
    std::vector<Response> responses(Range rows) const;
    std::vector<PreferencePair> pairs(Range rows) const;
    /// Any rows, in the order asked for.
    std::vector<Response> responses(std::span<const std::uint64_t> rows) const;

    std::vector<JudgeRow> judges() const;
    std::vector<Verdict> verdicts() const;

    /// The keys under /reference.
    std::vector<std::string> reference_keys() const;
    struct Reference {
        std::vector<double> chosen_logprob,
            rejected_logprob;  ///< a row a pair [nat]; NaN: not computed
    };
    Reference reference(const std::string& key) const;

    /// Reads every chunk (checksums are verified by HDF5) and checks every cross-reference; one
    /// line for each thing that is wrong.
    std::vector<std::string> verify() const;

  private:
    struct Contents;
    std::unique_ptr<Contents> contents_;
};

/// Replaces /verdicts (all judges) in a copy of the file that then takes its place. Each rank gives
/// its share; rows are ordered by judge, pair, order. Collective.
void write_verdicts(const comm::Communicator& comm, const std::filesystem::path& path,
                    const std::vector<JudgeRow>& judges, const std::vector<Verdict>& mine);

/// Adds or replaces /reference/<key> likewise; `reference` is complete and equal on all ranks.
/// Collective.
void write_reference(const comm::Communicator& comm, const std::filesystem::path& path,
                     const std::string& key, const PairFile::Reference& reference);

}  // namespace popalign::store
