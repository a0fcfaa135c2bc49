#include "lm/text/sentence_pieces.hpp"

#include "lm/text/unicode.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace popalign::lm {
namespace {

using nlohmann::json;

constexpr const char* mark = "\xE2\x96\x81";  // U+2581, which stands for a space

struct Merge {
    std::string_view left, right;
    std::size_t left_length, right_length;  // in characters
    std::int64_t left_id, right_id;
    float score;
};

/// All ways to make `piece` of two pieces, lower ids first.
std::vector<Merge> splits(std::string_view piece, float score,
                          const std::unordered_map<std::string_view, std::int64_t>& ids) {
    std::vector<std::size_t> cuts;
    for (std::size_t offset = 0; offset < piece.size();) {
        cuts.push_back(offset);
        next_code_point(piece, offset);
    }
    std::vector<Merge> merges;
    for (std::size_t i = 1; i < cuts.size(); ++i) {
        const auto left = piece.substr(0, cuts[i]), right = piece.substr(cuts[i]);
        const auto left_id = ids.find(left), right_id = ids.find(right);
        if (left_id != ids.end() && right_id != ids.end())
            merges.push_back(
                {left, right, i, cuts.size() - i, left_id->second, right_id->second, score});
    }
    std::ranges::sort(merges, [](const Merge& a, const Merge& b) {
        return std::pair(a.left_id, a.right_id) < std::pair(b.left_id, b.right_id);
    });
    return merges;
}

json merges_of(const SentencePieces& model, const json& vocabulary) {
    std::unordered_map<std::string_view, std::int64_t> ids;
    for (std::size_t id = 0; id < model.pieces.size(); ++id)
        if (vocabulary.contains(model.pieces[id]))
            ids.emplace(model.pieces[id], static_cast<std::int64_t>(id));
    std::vector<Merge> merges;
    for (std::size_t id = 0; id < model.pieces.size(); ++id) {
        const auto found = splits(model.pieces[id], model.scores[id], ids);
        merges.insert(merges.end(), found.begin(), found.end());
    }
    std::ranges::stable_sort(merges, [](const Merge& a, const Merge& b) {
        return std::tuple(a.score, a.left_length, a.right_length) >
               std::tuple(b.score, b.left_length, b.right_length);
    });
    json result = json::array();
    for (const Merge& merge : merges)
        result.push_back({merge.left, merge.right});
    return result;
}

json replace(const char* pattern, const char* content) {
    return {{"type", "Replace"}, {"pattern", {{"String", pattern}}}, {"content", content}};
}

}  // namespace

json sentence_piece_members(const SentencePieces& model, json vocabulary) {
    json normalizers = json::array(),
         decoders = {replace(mark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
    if (model.add_prefix_space) {
        normalizers.push_back({{"type", "Prepend"}, {"prepend", mark}});
        decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    normalizers.push_back(replace(" ", mark));
    json merges = merges_of(model, vocabulary);
    return {{"normalizer", {{"type", "Sequence"}, {"normalizers", std::move(normalizers)}}},
            {"pre_tokenizer", nullptr},
            {"decoder", {{"type", "Sequence"}, {"decoders", std::move(decoders)}}},
            {"model",
             {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", vocabulary.contains("<unk>") ? json("<unk>") : json()},
              {"continuing_subword_prefix", nullptr},
              {"end_of_word_suffix", nullptr},
              {"fuse_unk", true},
              {"byte_fallback", true},
              {"ignore_merges", false},
              {"vocab", std::move(vocabulary)},
              {"merges", std::move(merges)}}}};
}

}  // namespace popalign::lm
