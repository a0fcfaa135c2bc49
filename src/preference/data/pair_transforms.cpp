#include "preference/data/pair_transforms.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace popalign::preference {
namespace {

/// For each item the nearest earlier one of another instruction.
std::vector<std::size_t> partners_of(const std::vector<std::uint64_t>& instructions) {
    const auto last_other = std::find_if(
        instructions.rbegin(), instructions.rend(),
        [&](std::uint64_t instruction) { return instruction != instructions.front(); });
    if (last_other == instructions.rend())
        throw UsageError(
            "kto needs pairs of at least two instructions (it compares prompts with answers to "
            "others); use more pairs or another train.objective");
    std::vector<std::size_t> partners{static_cast<std::size_t>(instructions.rend() - last_other) -
                                      1};
    for (std::size_t i = 1; i < instructions.size(); ++i)
        partners.push_back(instructions[i] != instructions[i - 1] ? i - 1 : partners[i - 1]);
    return partners;
}

}  // namespace

PairData chosen_only(PairData data) {
    for (PairLengths& lengths : data.lengths)
        lengths.rejected = 0;
    for (PairHashes& hashes : data.hashes)
        hashes.rejected = hashes_of({}).rejected;
    data.example = [whole = std::move(data.example)](std::size_t item) {
        PairExample example = whole(item);
        example.rejected.clear();
        return example;
    };
    return data;
}

PairData mismatched(const PairData& data) {
    auto partners =
        std::make_shared<const std::vector<std::size_t>>(partners_of(data.instructions));
    PairData result = data;
    result.digest = sha256_hex("mismatched " + data.digest);
    const auto max_length = static_cast<std::uint32_t>(data.limits.max_length);
    for (std::size_t i = 0; i < data.size(); ++i) {
        PairLengths& lengths = result.lengths[i];
        const PairLengths& other = data.lengths[(*partners)[i]];
        const std::uint32_t room = max_length - lengths.prompt;
        lengths.chosen = std::min(other.chosen, room);
        lengths.rejected = std::min(other.rejected, room);
        const PairHashes& others = data.hashes[(*partners)[i]];
        result.hashes[i] = {data.hashes[i].prompt, others.chosen, others.rejected};
    }
    result.example = [partners, limits = data.limits, whole = data.example](std::size_t item) {
        PairExample example = whole(item);
        PairExample other = whole((*partners)[item]);
        example.chosen = std::move(other.chosen);
        example.rejected = std::move(other.rejected);
        truncate(example, limits);
        return example;
    };
    return result;
}

}  // namespace popalign::preference
