#pragma once

#include <popalign/record/instruction.hpp>

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace popalign::store {

/// A preference pair in the form that interchange formats share.
struct InterchangePair {
    Instruction instruction;
    std::string chosen, rejected;
    bool operator==(const InterchangePair&) const = default;
};

/// Format of preference data with one JSON object per pair.
struct InterchangeFormat {
    std::string_view name, description;
    /// Reads a row. Throws UsageError, or an exception of the JSON library, if the row is not a
    /// pair.
    InterchangePair (*read)(const nlohmann::json& row);
    /// Writes a row. Returns nothing if the format cannot hold the pair.
    std::optional<nlohmann::ordered_json> (*write)(const InterchangePair& pair);
};

/// Returns the formats `trl`, `trl-standard`, `openrlhf`, `llama-factory-alpaca`,
/// `llama-factory-sharegpt`, `ultrafeedback`, `ultrafeedback-binarized` and `hh-rlhf`. Reading a
/// written row gives the same texts.
std::span<const InterchangeFormat> interchange_formats();
/// Returns a format by name. Throws UsageError with the known names if there is none.
const InterchangeFormat& find_interchange_format(std::string_view name);

}  // namespace popalign::store
