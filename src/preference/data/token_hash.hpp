#pragma once

#include <popalign/base/random.hpp>
#include <popalign/lm/text/tokenizer.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

namespace popalign::preference {

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
    static_assert(std::has_unique_object_representations_v<T>);
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

inline std::uint64_t token_hash(const std::vector<TokenId>& tokens) noexcept {
    return stable_hash(bytes_of(tokens), 0);
}

}  // namespace popalign::preference
