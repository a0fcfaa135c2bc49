#pragma once

#include <popalign/evaluation/alpaca_eval.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::evaluation {

/// Whether AlpacaEval showed the model's answer first for this instruction: its seeded choice,
/// Python's random.Random("is_switched_outputs" + instruction + "0").
bool alpaca_shows_model_first(std::string_view instruction);

/// P("m") / (P("m") + P("M")), from the log-probabilities of a completion's first token; nothing if
/// it has none or neither letter is among them. Throws what the JSON library throws.
std::optional<double> first_letter_probability(const nlohmann::json& completion);

/// One model's judged items. A preference comes from the judge's log-probabilities where the
/// annotation has them, else as it stands.
struct AlpacaAnnotations {
    std::vector<AlpacaRow> rows;
    std::uint64_t without_preference = 0;  ///< left out
    std::uint64_t contradicted = 0;        ///< stated otherwise than the log-probabilities say
};

/// AlpacaEval's annotations (a JSON list, or JSON Lines, of {instruction, output_1, output_2,
/// generator_2, preference?, raw_completion?}), or CSV with the columns model, row, len_output_1,
/// len_output_2, preference; either packed as `.gz`. By model. Throws InputError.
std::map<std::string, AlpacaAnnotations> read_alpaca_annotations(const std::filesystem::path& path);

}  // namespace popalign::evaluation
