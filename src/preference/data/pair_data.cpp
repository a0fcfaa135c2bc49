#include "preference/data/pair_data.hpp"

#include "preference/data/prompts.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/base/random.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/text/tokenizer.hpp>
#include <popalign/record/pair_flags.hpp>
#include <popalign/record/verdict_summary.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>

namespace popalign::preference {
namespace {

/// Rows of /strategies of that name. Throws UsageError if there are none.
std::vector<std::size_t> strategy_rows(const store::PairFile& file, std::string_view key,
                                       const std::string& name) {
    const auto& known = file.header().strategies;
    std::vector<std::size_t> rows;
    std::vector<std::string> names;
    for (std::size_t row = 0; row < known.size(); ++row) {
        if (known[row].name == name)
            rows.push_back(row);
        names.push_back(known[row].name);
    }
    if (rows.empty())
        throw UsageError(fmt::format("train.{}: the pair file has no strategy '{}'; it has {}", key,
                                     name, fmt::join(names, ", ")));
    return rows;
}

std::vector<bool> wanted_strategies(const store::PairFile& file,
                                    std::span<const std::string> wanted) {
    std::vector<bool> used(file.header().strategies.size(), wanted.empty());
    for (const std::string& name : wanted)
        for (const std::size_t row : strategy_rows(file, "strategies", name))
            used[row] = true;
    return used;
}

/// Returns weights by row of /strategies; empty if there are no proportions.
std::vector<double> strategy_weights(const store::PairFile& file, const PairSelection& selection) {
    std::vector<double> weights(selection.proportions.empty() ? 0 : file.header().strategies.size(),
                                0.0);
    for (const auto& [name, weight] : selection.proportions)
        for (const std::size_t row : strategy_rows(file, "proportions", name))
            weights[row] = weight;
    return weights;
}

enum class Label : std::uint8_t { none, as_made, turned };

/// Returns the row of the judge with this name or `name/template`. Throws UsageError unless exactly
/// one matches.
std::uint32_t judge_number(const std::vector<store::JudgeRow>& judges, const std::string& wanted) {
    std::vector<std::string> names;
    std::vector<std::size_t> found;
    for (const store::JudgeRow& row : judges) {
        names.push_back(row.name + "/" + row.template_name);
        if (row.name == wanted || names.back() == wanted)
            found.push_back(names.size() - 1);
    }
    if (found.size() != 1)
        throw UsageError(
            fmt::format("train.labels: '{}' is {} of the pair file's judges ({}); name "
                        "one, or run `popalign judge` first",
                        wanted, found.empty() ? "none" : "several", fmt::join(names, ", ")));
    return static_cast<std::uint32_t>(found.front());
}

/// Returns a judge's verdict on each pair. Throws AgreedError if the file has no such judge.
/// Collective.
std::vector<Label> labels_by(const comm::Communicator& comm, const store::PairFile& file,
                             const std::string& judge) {
    std::vector<std::uint8_t> labels(file.pair_count());
    comm::run_on_all(comm, [&] {
        if (!comm.is_root())
            return;
        const std::uint32_t number = judge_number(file.judges(), judge);
        std::vector<Verdict> verdicts = file.verdicts();
        std::erase_if(verdicts, [&](const Verdict& verdict) { return verdict.judge != number; });
        for (std::span<const Verdict> rest = verdicts; !rest.empty();) {
            const auto of_pair = leading_pair(rest);
            const double credit = pair_credit(of_pair).value_or(0.5);
            const Label label = credit > 0.5   ? Label::as_made
                                : credit < 0.5 ? Label::turned
                                               : Label::none;
            labels[of_pair.front().pair] = static_cast<std::uint8_t>(label);
            rest = rest.subspan(of_pair.size());
        }
    });
    comm::broadcast(comm, std::span<std::uint8_t>(labels));
    std::vector<Label> result;
    for (const std::uint8_t label : labels)
        result.push_back(static_cast<Label>(label));
    return result;
}

std::vector<std::uint64_t> select_rows(const comm::Communicator& comm, const store::PairFile& file,
                                       const PairSelection& selection,
                                       const std::vector<Label>& labels) {
    const auto instructions = wanted_instructions(comm, file, selection);
    const std::uint32_t excluded = flag_mask(selection.exclude_flags);
    const std::vector<bool> used = wanted_strategies(file, selection.strategies);
    const auto weights = comm::run_on_all(comm, [&] { return strategy_weights(file, selection); });
    const auto mine = comm::run_on_all(comm, [&] {
        std::vector<PairCandidate> found;
        in_blocks(partition(file.pair_count(), comm.rank(), comm.size()), [&](Range range) {
            const auto pairs = file.pairs(range);
            for (std::size_t i = 0; i < pairs.size(); ++i)
                if ((pairs[i].flags & excluded) == 0 && used.at(pairs[i].strategy) &&
                    instructions.at(pairs[i].instruction) &&
                    (labels.empty() || labels[range.begin + i] != Label::none))
                    found.push_back({range.begin + i, pairs[i].instruction, pairs[i].strategy});
        });
        return found;
    });
    const auto candidates = comm::all_gather_values(comm, mine);
    if (!weights.empty())
        return mix_rows(candidates, weights);
    std::vector<std::uint64_t> rows;
    for (const PairCandidate& candidate : candidates)
        rows.push_back(candidate.row);
    return rows;
}

/// Reads and encodes single pairs; lives as long as the PairData that uses it.
class PairEncoder {
  public:
    PairEncoder(const std::filesystem::path& path, const lm::ModelFrontEnd& front_end,
                const TokenLimits& limits)
        : file_(path), front_end_(front_end), limits_(limits) {
        const lm::ChatTemplate& chat = front_end_.require_chat("train.model");
        auto token = lm::end_of_turn(chat, front_end_.tokenizer);
        if (!token)
            token = front_end_.tokenizer.eos_token();
        if (!token)
            throw UsageError(fmt::format(
                "chat template '{}' writes no special token behind an answer, and the tokenizer "
                "has no EOS; set the model's chat_template to the one it was trained with",
                chat.name()));
        end_of_turn_ = *token;
    }

    const store::PairFile& file() const noexcept { return file_; }

    /// A judge's verdicts, in place of the strategies' labels.
    void set_labels(std::vector<Label> labels) { labels_ = std::move(labels); }

    PairExample encode(std::uint64_t row) const {
        PreferencePair pair = file_.pairs({row, row + 1}).at(0);
        if (!labels_.empty() && labels_.at(row) == Label::turned)
            std::swap(pair.chosen, pair.rejected);
        const auto instruction = file_.instructions({pair.instruction, pair.instruction + 1}).at(0);
        const auto responses = file_.responses(std::array{pair.chosen, pair.rejected});
        PairExample example{encode_prompt(front_end_, instruction),
                            completion(responses.at(0)),
                            completion(responses.at(1)),
                            pair.strategy,
                            row,
                            pair.instruction};
        truncate(example, limits_);
        return example;
    }

  private:
    std::vector<TokenId> completion(const Response& response) const {
        auto tokens = front_end_.tokenizer.encode(response.text);
        // An answer that was cut off did not end its turn.
        if (response.finish_reason == FinishReason::stop)
            tokens.push_back(end_of_turn_);
        return tokens;
    }

    store::PairFile file_;
    lm::ModelFrontEnd front_end_;
    TokenLimits limits_;
    TokenId end_of_turn_ = 0;
    std::vector<Label> labels_;
};

struct Measured {
    PairLengths lengths;
    std::uint32_t strategy = 0;
    std::uint64_t row = 0, instruction = 0;
    PairHashes hashes;
};

std::vector<Measured> measure(const comm::Communicator& comm, const PairEncoder& encoder,
                              const std::vector<std::uint64_t>& rows) {
    const Range share = partition(rows.size(), comm.rank(), comm.size());
    const auto mine = comm::run_on_all(comm, [&] {
        std::vector<Measured> measured;
        for (std::size_t i = share.begin; i < share.end; ++i) {
            const PairExample example = encoder.encode(rows[i]);
            measured.push_back({lengths_of(example), example.strategy, rows[i], example.instruction,
                                hashes_of(example)});
        }
        return measured;
    });
    return comm::all_gather_values(comm, mine);
}

}  // namespace

PairLengths lengths_of(const PairExample& example) noexcept {
    const auto length = [](const auto& tokens) {
        return static_cast<std::uint32_t>(tokens.size());
    };
    return {length(example.prompt), length(example.chosen), length(example.rejected)};
}

std::uint64_t token_hash(const std::vector<TokenId>& tokens) noexcept {
    return stable_hash(bytes_of(tokens));
}

PairHashes hashes_of(const PairExample& example) noexcept {
    return {token_hash(example.prompt), token_hash(example.chosen), token_hash(example.rejected)};
}

std::vector<std::uint64_t> mix_rows(std::span<const PairCandidate> candidates,
                                    std::span<const double> weights) {
    double total = 0;
    for (const double weight : weights)
        total += weight;
    std::vector<double> taken(weights.size(), 0.0);
    std::vector<std::uint64_t> rows;
    for (std::size_t begin = 0, end = 0; begin < candidates.size(); begin = end) {
        const PairCandidate* best = nullptr;
        double furthest = 0;
        const auto position = static_cast<double>(rows.size() + 1);
        for (; end < candidates.size() &&
               candidates[end].instruction == candidates[begin].instruction;
             ++end) {
            const PairCandidate& candidate = candidates[end];
            const double weight = weights[candidate.strategy];
            const double behind = position * weight / total - taken[candidate.strategy];
            if (weight > 0 && (best == nullptr || behind > furthest)) {
                best = &candidate;
                furthest = behind;
            }
        }
        if (best != nullptr) {
            rows.push_back(best->row);
            ++taken[best->strategy];
        }
    }
    return rows;
}

void truncate(PairExample& example, const TokenLimits& limits) {
    const auto max_prompt = static_cast<std::size_t>(limits.max_prompt_length);
    if (example.prompt.size() > max_prompt)
        example.prompt.erase(example.prompt.begin(),
                             example.prompt.end() - limits.max_prompt_length);
    const auto max_length = static_cast<std::size_t>(limits.max_length);
    const std::size_t room = max_length - std::min(max_length, example.prompt.size());
    for (auto* completion : {&example.chosen, &example.rejected})
        completion->resize(std::min(completion->size(), room));
}

PairData open_pair_data(const comm::Communicator& comm, const std::filesystem::path& path,
                        const lm::ModelFrontEnd& front_end, const PairSelection& selection,
                        const TokenLimits& limits) {
    const auto encoder = comm::run_on_all(
        comm, [&] { return std::make_shared<PairEncoder>(path, front_end, limits); });
    std::vector<Label> labels;
    if (!selection.labels.empty())
        labels = labels_by(comm, encoder->file(), selection.labels);
    const auto rows = select_rows(comm, encoder->file(), selection, labels);
    encoder->set_labels(std::move(labels));
    const auto measured = measure(comm, *encoder, rows);

    PairData data;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& [lengths, strategy, row, instruction, hashes] = measured[i];
        if (lengths.prompt == 0 || lengths.chosen == 0 || lengths.rejected == 0) {
            ++data.dropped;
            continue;
        }
        data.rows.push_back(row);
        data.lengths.push_back(lengths);
        data.hashes.push_back(hashes);
        data.strategies.push_back(strategy);
        data.instructions.push_back(instruction);
    }
    for (const store::StrategyRow& strategy : encoder->file().header().strategies)
        data.strategy_names.push_back(strategy.name);
    data.limits = limits;
    data.digest = sha256_hex(bytes_of(measured));
    data.file_pairs = encoder->file().pair_count();
    data.example = [encoder, kept = data.rows](std::size_t item) {
        return encoder->encode(kept.at(item));
    };
    return data;
}

}  // namespace popalign::preference
