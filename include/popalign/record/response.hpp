#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace popalign {

enum class FinishReason : std::uint8_t { stop = 0, length = 1 };

/// Answer of one generation to one instruction.
struct Response {
    std::uint64_t instruction = 0;     ///< row of /instructions
    std::uint32_t generation = 0;      ///< row of /generations
    std::string text;                  ///< the answer alone
    std::string thought;               ///< text stripped by Elicitive and Refine
    std::vector<std::int32_t> tokens;  ///< as drawn, by the generating model's tokenizer, no EOS
    double logprob = 0;  ///< of all drawn tokens and EOS under the model, at temperature 1 [nat]
    FinishReason finish_reason = FinishReason::stop;
    bool parsed = true;          ///< false if the requested format was not found
    std::uint64_t seed = 0;      ///< key of the random stream it was drawn with
    std::uint32_t attempts = 1;  ///< number of attempts until it parsed
    std::uint64_t prompt_tokens = 0, answer_tokens = 0;  ///< of all attempts; 0 if unknown

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& instruction& generation& text& thought& tokens& logprob& finish_reason& parsed&
            seed& attempts& prompt_tokens& answer_tokens;
    }
    bool operator==(const Response&) const = default;
};

}  // namespace popalign
