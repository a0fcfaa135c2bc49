#pragma once

#include "contrast/contrast_accuracy.hpp"

#include <popalign/store/pairs/pair_file.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <vector>

namespace popalign::contrast {

/// Returns the facts of all pairs of the file, which is read in parts.
std::vector<PairFacts> pair_facts(const store::PairFile& file);

/// Returns the contents of contrast_accuracy.json: the figures of judge number `shown`
/// (`strategies`, `all`), of every judge (`judges`) and between judges (`agreement`).
nlohmann::ordered_json to_json(const ContrastAccuracy& accuracy, std::size_t shown);

}  // namespace popalign::contrast
