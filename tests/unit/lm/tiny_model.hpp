#pragma once

#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/record/token.hpp>

#include <cstdint>

namespace popalign::test {

/// Each has something that the others have not. Windows are shorter than the tests' sequences.
inline constexpr const char* architectures[] = {"llama", "mistral", "qwen2", "qwen3",
                                                "gemma3_text"};

/// A transformer of two layers with random weights, large enough that its answers vary.
lm::TrainableLm make_tiny_model(const std::string& architecture, std::uint64_t seed,
                                at::ScalarType dtype = at::kFloat, at::Device device = at::kCPU,
                                lm::OutputHead head = lm::OutputHead::tokens);

std::vector<TokenId> random_tokens(std::size_t count, std::uint64_t seed,
                                   std::int64_t vocabulary = 97);

}  // namespace popalign::test
