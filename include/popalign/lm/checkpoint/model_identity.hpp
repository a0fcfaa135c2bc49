#pragma once

#include <cstdint>
#include <string>

namespace popalign::lm {

/// Identity of a model: hashes of its files, for provenance and for keys of stored results. For a
/// server, `sha256` is the hash of its address and of the model's name there.
struct ModelIdentity {
    std::string path, sha256, tokenizer_sha256, template_sha256;
    std::uint64_t parameters = 0;
};

}  // namespace popalign::lm
