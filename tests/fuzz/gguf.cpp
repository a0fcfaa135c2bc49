#include "fuzz/fuzz_one.hpp"
#include "fuzz/memory_file.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/text/tokenizer.hpp>
#include <popalign/store/weights/gguf.hpp>

#include <vector>

namespace popalign::fuzz {

/// Opens the file, unpacks its tensors, and reads its tokenizer.
void fuzz_one(std::span<const std::uint8_t> input) {
    const MemoryFile memory(input);
    try {
        const store::GgufFile file(memory.path());
        for (const store::TensorView& tensor : file.tensors()) {
            if (tensor.count() > (std::size_t{1} << 20))
                continue;
            std::vector<float> values(tensor.count());
            try {
                store::dequantise(tensor, values);
            } catch (const Error&) {
            }
        }
        const lm::Tokenizer tokenizer = lm::Tokenizer::from_gguf(file);
        tokenizer.decode(tokenizer.encode("abc <s> e\u0301 12\n"));
    } catch (const Error&) {
    }
}

}  // namespace popalign::fuzz
