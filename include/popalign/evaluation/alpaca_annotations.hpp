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

/// Returns whether AlpacaEval showed the model's answer first for this instruction. Its seeded
/// choice is Python's random.Random("is_switched_outputs" + instruction + "0").
bool alpaca_shows_model_first(std::string_view instruction);

/// Returns P("m") / (P("m") + P("M")) from the log-probabilities of a completion's first token;
/// nothing if it has none or neither letter is among them. Throws the JSON library's errors.
std::optional<double> first_letter_probability(const nlohmann::json& completion);

/// One model's judged items. Preferences are computed from the judge's log-probabilities where the
/// annotation has them, and otherwise read as stated.
struct AlpacaAnnotations {
    std::vector<AlpacaRow> rows;
    std::uint64_t without_preference = 0;  ///< items left out
    std::uint64_t contradicted = 0;  ///< stated preference disagrees with the log-probabilities
};

/// Reads AlpacaEval's annotations: a JSON list, or JSON Lines, of {instruction, output_1, output_2,
/// generator_2, preference?, raw_completion?}, or CSV with the columns model, row, len_output_1,
/// len_output_2, preference; either may be packed as `.gz`. Returns them by model. Throws
/// InputError.
std::map<std::string, AlpacaAnnotations> read_alpaca_annotations(const std::filesystem::path& path);

}  // namespace popalign::evaluation
