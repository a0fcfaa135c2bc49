#pragma once

#include <popalign/base/range.hpp>
#include <popalign/record/verdict.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace popalign::store {

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
    /// Returns the responses of any `rows`, in their order.
    std::vector<Response> responses(std::span<const std::uint64_t> rows) const;

    std::vector<JudgeRow> judges() const;
    std::vector<Verdict> verdicts() const;

    /// The keys under /reference.
    std::vector<std::string> reference_keys() const;
    struct Reference {
        std::vector<double> chosen_logprob,
            rejected_logprob;  ///< one entry per pair [nat]; NaN: not computed
    };
    Reference reference(const std::string& key) const;

    /// Reads every chunk (HDF5 verifies the checksums) and checks every cross-reference. Returns
    /// one line per error.
    std::vector<std::string> verify() const;

  private:
    struct Contents;
    std::unique_ptr<Contents> contents_;
};

}  // namespace popalign::store
