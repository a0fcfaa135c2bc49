#pragma once

#include <popalign/lm/causal_lm.hpp>

#include <cstdint>

namespace popalign::test {

/// A transformer of two layers with random weights, large enough that its answers vary.
CausalLm make_tiny_model(const std::string& architecture, std::uint64_t seed,
                         at::ScalarType dtype = at::kFloat);

std::vector<TokenId> random_tokens(std::size_t count, std::uint64_t seed,
                                   std::int64_t vocabulary = 97);

}  // namespace popalign::test
