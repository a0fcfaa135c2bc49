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

/// A pair as tokens. The prompt is the original instruction without any strategy's template: that
/// the answers were drawn under other prompts is the point of the contrast.
struct PairExample {
    std::vector<TokenId> prompt, chosen, rejected;
    std::uint32_t strategy = 0;     ///< row of /strategies
    std::uint64_t pair = 0;         ///< row of /pairs
    std::uint64_t instruction = 0;  ///< row of /instructions
};

struct PairLengths {
    std::uint32_t prompt = 0, chosen = 0, rejected = 0;

    /// Rows of a forward pass that computes the prompt once.
    std::uint64_t packed() const noexcept { return std::uint64_t{prompt} + chosen + rejected; }
    /// Tokens of the two sequences (of one where there is no rejected answer), as trainers that
    /// compute each by itself count them.
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
    std::vector<std::string> exclude_flags;  ///< pairs with any of them are left out
    std::vector<std::string> strategies;     ///< empty: all
    /// Weights by strategy: one pair an instruction (see `mix_rows`); empty: all pairs.
    std::map<std::string, double> proportions = {};
    std::int64_t limit_instructions = 0;  ///< the first so many of the split; 0: all
    /// A judge in the pair file: pairs that it finds the other way round are turned, those it finds
    /// equal, or did not judge in both orders, left out. Empty: the strategies say which is chosen.
    std::string labels = {};
};

/// A pair that may be used: its instruction and strategy, as numbers.
struct PairCandidate {
    std::uint64_t row = 0, instruction = 0;
    std::uint32_t strategy = 0;
};

/// One row of each instruction, so that the strategies' counts follow `weights` [strategies] as
/// closely as the candidates allow, in every beginning of the list too: each instruction's pair is
/// of the strategy that is furthest behind its share among those it has. `candidates` are ordered
/// by instruction; strategies of weight 0 are never taken. Deterministic.
std::vector<std::uint64_t> mix_rows(std::span<const PairCandidate> candidates,
                                    std::span<const double> weights);

struct TokenLimits {
    std::int64_t max_length = 2048;         ///< prompt and completion
    std::int64_t max_prompt_length = 1024;  ///< the prompt's end is kept
};

/// The pairs that are used, the same on all ranks; their texts stay in the file until asked for.
/// `items` below are indices into these vectors.
struct PairData {
    std::vector<std::uint64_t> rows;  ///< of /pairs, ascending
    std::vector<PairLengths> lengths;
    std::vector<PairHashes> hashes;
    std::vector<std::uint32_t> strategies;    ///< rows of /strategies
    std::vector<std::uint64_t> instructions;  ///< rows of /instructions
    std::vector<std::string> strategy_names;  ///< by row of /strategies
    TokenLimits limits;                       ///< that the texts are cut to
    std::string digest;                       ///< of all rows and tokens
    std::uint64_t file_pairs = 0;             ///< pairs in the whole file
    std::uint64_t dropped = 0;                ///< selected, but a completion had no room left
    std::function<PairExample(std::size_t item)> example;

    std::size_t size() const noexcept { return rows.size(); }
};

/// Cuts the prompt's beginning and the completions' ends to the limits.
void truncate(PairExample& example, const TokenLimits& limits);

/// Each rank reads and encodes its share of the texts once, for their lengths. Throws UsageError
/// for a strategy that the file does not have. Collective.
PairData open_pair_data(const comm::Communicator& comm, const std::filesystem::path& path,
                        const lm::ModelFrontEnd& front_end, const PairSelection& selection,
                        const TokenLimits& limits);

}  // namespace popalign::preference
