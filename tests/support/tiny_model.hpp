#pragma once

#include <popalign/lm/transformer/trainable_lm.hpp>
#include <popalign/record/token.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::test {

/// Each has something that the others have not. Windows are shorter than the tests' sequences.
inline constexpr const char* architectures[] = {"llama", "mistral", "qwen2",
                                                "qwen3", "gemma",   "gemma3_text"};

/// Tokens of the tiny model, unless it is made with more.
inline constexpr std::int64_t tiny_vocabulary = 97;

/// A transformer of two layers with random weights, the same on every rank. It is large enough that
/// its answers vary.
lm::TrainableLm make_tiny_model(const std::string& architecture, std::uint64_t seed,
                                at::ScalarType dtype = at::kFloat, at::Device device = at::kCPU,
                                std::int64_t vocabulary = tiny_vocabulary,
                                lm::OutputHead head = lm::OutputHead::tokens);

std::vector<TokenId> random_tokens(std::size_t count, std::uint64_t seed,
                                   std::int64_t vocabulary = tiny_vocabulary);

}  // namespace popalign::test
