#include "preference/pairs/reference.hpp"

#include "preference/data/batch_plan.hpp"
#include "preference/data/packed_pairs.hpp"

#include <popalign/base/hash.hpp>
#include <popalign/base/progress.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_update.hpp>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace popalign::preference {
namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();
/// Between two questions to the deadline, on each rank.
constexpr std::size_t pairs_per_round = 32;

/// Fills `values` [2 * items] at 2 i and 2 i + 1 for the items of `share`.
void fill(const lm::CausalLm& model, const PairData& data, std::span<const std::size_t> items,
          Range share, std::int64_t token_budget, std::span<double> values) {
    const c10::NoGradGuard no_gradients;
    std::vector<PairExample> examples;
    std::vector<PairLengths> lengths;
    std::vector<PairHashes> hashes;
    for (std::size_t i = share.begin; i < share.end; ++i) {
        examples.push_back(data.example(items[i]));
        lengths.push_back(lengths_of(examples.back()));
        hashes.push_back(hashes_of(examples.back()));
    }
    for (const Range& range : micro_batches(lengths, hashes, token_budget)) {
        const auto batch = std::span(examples).subspan(range.begin, range.size());
        const at::Tensor logps = pair_values(model, pack_pairs(batch)).to(at::kCPU).contiguous();
        std::copy_n(logps.data_ptr<double>(), logps.numel(),
                    values.begin() + static_cast<std::ptrdiff_t>(2 * (share.begin + range.begin)));
    }
}

store::PairFile::Reference stored_reference(const store::PairFile& file, const std::string& key) {
    const auto keys = file.reference_keys();
    if (std::find(keys.begin(), keys.end(), key) != keys.end())
        return file.reference(key);
    const std::vector<double> none(file.pair_count(), missing);
    return {none, none};
}

}  // namespace

std::string reference_key(const lm::ModelIdentity& model, const TokenLimits& limits) {
    return sha256_hex(
        fmt::format("model={}\ntokenizer={}\ntemplate={}\nmax_length={}\nmax_prompt_length={}\n",
                    model.sha256, model.tokenizer_sha256, model.template_sha256, limits.max_length,
                    limits.max_prompt_length));
}

CompletionLogProbabilities compute_log_probabilities(
    const comm::Communicator& comm, const lm::CausalLm& model, const PairData& data,
    std::span<const std::size_t> items, std::int64_t token_budget, const Deadline* deadline,
    const Logger& logger) {
    const std::size_t round_size = pairs_per_round * static_cast<std::size_t>(comm.size());
    std::vector<double> values(2 * items.size(), 0.0);
    Progress progress(logger, "log-probabilities", "pairs",
                      partition(items.size(), comm.rank(), comm.size()).size());
    std::size_t done = 0;
    while (done < items.size()) {
        const std::size_t count = std::min(round_size, items.size() - done);
        const Range part = partition(count, comm.rank(), comm.size());
        comm::run_on_all(comm, [&] {
            fill(model, data, items, {done + part.begin, done + part.end}, token_budget, values);
        });
        progress.advance(part.size());
        done += count;
        if (deadline != nullptr && comm::agree_to_stop(comm, *deadline))
            break;
    }
    comm::all_reduce(comm, std::span(values), comm::Reduction::sum);

    CompletionLogProbabilities logps{std::vector<double>(data.size(), missing),
                                     std::vector<double>(data.size(), missing)};
    for (std::size_t i = 0; i < done; ++i) {
        logps.chosen[items[i]] = values[2 * i];
        logps.rejected[items[i]] = values[2 * i + 1];
    }
    return logps;
}

std::optional<CompletionLogProbabilities> reference_log_probabilities(
    const comm::Communicator& comm, const PairData& data, const ReferenceSource& source,
    const Deadline* deadline, const Logger& logger) {
    auto stored = comm::run_on_all(
        comm, [&] { return stored_reference(store::PairFile(source.pair_file), source.key); });
    std::vector<std::size_t> items;
    for (std::size_t item = 0; item < data.size(); ++item)
        if (std::isnan(stored.chosen_logprob.at(data.rows[item])) ||
            std::isnan(stored.rejected_logprob.at(data.rows[item])))
            items.push_back(item);

    bool complete = true;
    if (!items.empty()) {
        logger.info(fmt::format("reference: {} of {} pairs to compute", items.size(), data.size()));
        const auto computed = compute_log_probabilities(comm, source.model(), data, items,
                                                        source.token_budget, deadline, logger);
        for (const std::size_t item : items) {
            stored.chosen_logprob[data.rows[item]] = computed.chosen[item];
            stored.rejected_logprob[data.rows[item]] = computed.rejected[item];
            complete = complete && !std::isnan(computed.chosen[item]);
        }
        store::write_reference(comm, source.pair_file, source.key, stored);
    }
    if (!complete)
        return std::nullopt;
    CompletionLogProbabilities reference;
    for (const std::uint64_t row : data.rows) {
        reference.chosen.push_back(stored.chosen_logprob[row]);
        reference.rejected.push_back(stored.rejected_logprob[row]);
    }
    return reference;
}

}  // namespace popalign::preference
