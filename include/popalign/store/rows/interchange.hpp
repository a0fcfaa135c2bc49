#pragma once

#include <popalign/record/instruction.hpp>

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace popalign::store {

/// A pair as other programs hold it.
struct InterchangePair {
    Instruction instruction;
    std::string chosen, rejected;
    bool operator==(const InterchangePair&) const = default;
};

/// One way in which preference data are kept, a JSON object a pair.
struct InterchangeFormat {
    std::string_view name, description;
    /// Throws UsageError, or what the library throws for members of other types, if the row is no
    /// pair.
    InterchangePair (*read)(const nlohmann::json& row);
    /// Nothing if the format cannot hold the pair.
    std::optional<nlohmann::ordered_json> (*write)(const InterchangePair& pair);
};

/// `trl`, `trl-standard`, `openrlhf`, `llama-factory-alpaca`, `llama-factory-sharegpt`,
/// `ultrafeedback`, `ultrafeedback-binarized` and `hh-rlhf`. Reading what one wrote gives the same
/// texts.
std::span<const InterchangeFormat> interchange_formats();
/// Throws UsageError with the known names.
const InterchangeFormat& find_interchange_format(std::string_view name);

}  // namespace popalign::store
