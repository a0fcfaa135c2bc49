#include "store/pairs/text_repeats.hpp"

#include <popalign/base/random.hpp>
#include <popalign/comm/collectives.hpp>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <type_traits>

namespace popalign::store {
namespace {

// Two texts of similarity s share one of the bands with probability 1 - (1 - s^8)^16: 0.9999 at
// 0.9, 0.6 at 0.7, 0.06 at 0.5.
constexpr std::size_t bands = 16, values_per_band = TextSignature::parts / bands;

/// A text by where its signature is.
struct Place {
    std::uint32_t rank, index;
    auto operator<=>(const Place&) const = default;
};

/// A text's band, on its way to where equal ones meet.
struct BandEntry {
    std::uint64_t hash, row, group;
    Place place;
};

/// "Compare your text `mine` with that one."
struct Candidate {
    Place first;
    std::uint32_t mine, unused = 0;
    auto operator<=>(const Candidate&) const = default;
};

template <class T>
using ByRank = std::vector<std::vector<T>>;

/// Rank r receives what all put into `outgoing[r]`, one part a rank. Collective.
template <class T>
ByRank<T> send_to_ranks(const comm::Communicator& comm, const ByRank<T>& outgoing) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::vector<std::vector<std::byte>> bytes;
    for (const auto& part : outgoing) {
        const auto view = std::as_bytes(std::span(part));
        bytes.emplace_back(view.begin(), view.end());
    }
    ByRank<T> incoming;
    for (const auto& part : comm::all_to_all(comm, bytes)) {
        auto& values = incoming.emplace_back(part.size() / sizeof(T));
        if (!part.empty())
            std::memcpy(values.data(), part.data(), part.size());
    }
    return incoming;
}

std::uint64_t band_hash(const TextSignature& signature, std::size_t band) {
    const auto* begin = signature.least.data() + band * values_per_band;
    return stable_hash({reinterpret_cast<const char*>(begin), values_per_band * sizeof(*begin)},
                       band);
}

/// Tells the ranks of the entries with equal hashes to compare each with the first.
ByRank<Candidate> meet(const ByRank<BandEntry>& incoming) {
    std::vector<BandEntry> entries;
    for (const auto& part : incoming)
        entries.insert(entries.end(), part.begin(), part.end());
    std::ranges::sort(entries, {},
                      [](const BandEntry& entry) { return std::tuple(entry.hash, entry.row); });
    ByRank<Candidate> candidates(incoming.size());
    const BandEntry* first = nullptr;
    for (const BandEntry& entry : entries) {
        if (first == nullptr || first->hash != entry.hash)
            first = &entry;
        else if (first->group != entry.group)
            candidates[entry.place.rank].push_back({first->place, entry.place.index});
    }
    return candidates;
}

/// Returns the pairs of texts that this rank compares, each once, ascending. Collective.
template <class Texts>
std::vector<Candidate> find_candidates(const comm::Communicator& comm, const Texts& texts) {
    const auto ranks = static_cast<std::size_t>(comm.size());
    const auto rank = static_cast<std::uint32_t>(comm.rank());
    std::vector<Candidate> candidates;
    for (std::size_t band = 0; band < bands; ++band) {
        ByRank<BandEntry> outgoing(ranks);
        for (std::uint32_t i = 0; i < texts.size(); ++i) {
            const std::uint64_t hash = band_hash(texts[i].signature, band);
            outgoing[hash % ranks].push_back({hash, texts[i].row, texts[i].group, {rank, i}});
        }
        for (const auto& part : send_to_ranks(comm, meet(send_to_ranks(comm, outgoing))))
            candidates.insert(candidates.end(), part.begin(), part.end());
        std::ranges::sort(candidates);
        candidates.erase(std::ranges::unique(candidates).begin(), candidates.end());
    }
    return candidates;
}

}  // namespace

void TextRepeats::add(std::uint64_t row, std::uint64_t group, std::string_view text) {
    texts_.push_back({row, group, text_signature(text)});
}

std::vector<std::uint8_t> TextRepeats::find(const comm::Communicator& comm) const {
    const std::vector<Candidate> candidates = find_candidates(comm, texts_);
    ByRank<std::uint32_t> wanted(static_cast<std::size_t>(comm.size()));
    for (std::size_t i = 0; i < candidates.size(); ++i)
        if (i == 0 || candidates[i].first != candidates[i - 1].first)
            wanted[candidates[i].first.rank].push_back(candidates[i].first.index);
    ByRank<TextSignature> asked_for;
    for (const auto& part : send_to_ranks(comm, wanted)) {
        auto& signatures = asked_for.emplace_back();
        for (const std::uint32_t index : part)
            signatures.push_back(texts_[index].signature);
    }
    const ByRank<TextSignature> received = send_to_ranks(comm, asked_for);

    std::vector<std::uint8_t> repeats(texts_.size(), 0);
    std::vector<std::size_t> next(received.size(), 0);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const auto& [first, mine, unused] = candidates[i];
        if (i == 0 || first != candidates[i - 1].first)
            ++next[first.rank];
        const TextSignature& signature = received[first.rank][next[first.rank] - 1];
        if (estimated_similarity(signature, texts_[mine].signature) >= near_duplicate_similarity)
            repeats[mine] = 1;
    }
    return repeats;
}

}  // namespace popalign::store
