#pragma once

#include "contrast/contrast_accuracy.hpp"

#include <popalign/store/pairs/pair_file.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <vector>

namespace popalign::contrast {

/// Of all pairs of the file, read in parts.
std::vector<PairFacts> pair_facts(const store::PairFile& file);

/// contrast_accuracy.json: the figures of judge number `shown` (`strategies`, `all`), of every
/// judge
/// (`judges`) and between them (`agreement`).
nlohmann::ordered_json to_json(const ContrastAccuracy& accuracy, std::size_t shown);

}  // namespace popalign::contrast
