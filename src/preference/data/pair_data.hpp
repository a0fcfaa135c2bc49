#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/record/instruction.hpp>
#include <popalign/record/token.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace popalign::preference {

/// A pair as tokens. The prompt is the original instruction, without the strategy's template under
/// which the answers were drawn.
struct PairExample {
    std::vector<TokenId> prompt, chosen, rejected;
    std::uint32_t strategy = 0;     ///< row of /strategies
    std::uint64_t pair = 0;         ///< row of /pairs
    std::uint64_t instruction = 0;  ///< row of /instructions
};

struct PairLengths {
    std::uint32_t prompt = 0, chosen = 0, rejected = 0;

    /// Returns the rows of a forward pass that computes the prompt once.
    std::uint64_t packed() const noexcept { return std::uint64_t{prompt} + chosen + rejected; }
    /// Returns the tokens of both sequences (of one if there is no rejected answer), each with its
    /// own prompt.
    std::uint64_t sequences() const noexcept { return packed() + (rejected > 0 ? prompt : 0); }
};
PairLengths lengths_of(const PairExample& example) noexcept;

/// Hashes of the token sequences. Pairs with equal hashes share that part of the forward pass.
struct PairHashes {
    std::uint64_t prompt = 0, chosen = 0, rejected = 0;
};
std::uint64_t token_hash(const std::vector<TokenId>& tokens) noexcept;
PairHashes hashes_of(const PairExample& example) noexcept;

struct PairSelection {
    Split split = Split::train;
    std::vector<std::string> exclude_flags;  ///< pairs with any of these flags are left out
    std::vector<std::string> strategies;     ///< empty: all
    /// Weights by strategy at one pair per instruction (see `mix_rows`); empty: all pairs.
    std::map<std::string, double> proportions = {};
    std::int64_t limit_instructions = 0;  ///< number of first instructions of the split; 0: all
    /// Name of a judge in the pair file. Pairs in which it prefers the rejected answer are swapped;
    /// ties and pairs not judged in both orders are left out. Empty: the strategies decide.
    std::string labels = {};
};

/// A pair that may be used, with the numbers of its instruction and strategy.
struct PairCandidate {
    std::uint64_t row = 0, instruction = 0;
    std::uint32_t strategy = 0;
};

/// Selects one row per instruction so that the strategies' counts follow `weights` [strategies] as
/// closely as the candidates allow, also in every prefix of the list: of an instruction's
/// strategies, it takes the one furthest behind its share. `candidates` must be ordered by
/// instruction. Strategies of weight 0 are never taken. Deterministic.
std::vector<std::uint64_t> mix_rows(std::span<const PairCandidate> candidates,
                                    std::span<const double> weights);

struct TokenLimits {
    std::int64_t max_length = 2048;         ///< prompt and completion
    std::int64_t max_prompt_length = 1024;  ///< the prompt's end is kept
};

/// The selected pairs, the same on all ranks. Texts are read from the file on demand. An `item` is
/// an index into these vectors.
struct PairData {
    std::vector<std::uint64_t> rows;  ///< of /pairs, ascending
    std::vector<PairLengths> lengths;
    std::vector<PairHashes> hashes;
    std::vector<std::uint32_t> strategies;    ///< rows of /strategies
    std::vector<std::uint64_t> instructions;  ///< rows of /instructions
    std::vector<std::string> strategy_names;  ///< by row of /strategies
    TokenLimits limits;                       ///< limits that texts are cut to
    std::string digest;                       ///< hash of all rows and tokens
    std::uint64_t file_pairs = 0;             ///< pairs in the whole file
    std::uint64_t dropped = 0;                ///< selected pairs without room for a completion
    std::function<PairExample(std::size_t item)> example;

    std::size_t size() const noexcept { return rows.size(); }
};

/// Cuts the prompt's beginning and the completions' ends to the limits.
void truncate(PairExample& example, const TokenLimits& limits);

/// Opens the selected pairs. Each rank reads and encodes its share of the texts once, for lengths
/// and hashes. Throws UsageError for a strategy that the file lacks. Collective.
PairData open_pair_data(const comm::Communicator& comm, const std::filesystem::path& path,
                        const lm::ModelFrontEnd& front_end, const PairSelection& selection,
                        const TokenLimits& limits);

}  // namespace popalign::preference
