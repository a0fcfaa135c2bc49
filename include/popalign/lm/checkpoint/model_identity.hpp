#pragma once

#include <cstdint>
#include <string>

namespace popalign::lm {

/// What makes a model's answers: hashes of its files, for provenance and for keys of stored
/// results. Of a server, the hash is that of its address and of its name for the model.
struct ModelIdentity {
    std::string path, sha256, tokenizer_sha256, template_sha256;
    std::uint64_t parameters = 0;
};

}  // namespace popalign::lm
