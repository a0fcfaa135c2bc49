#include "fuzz/fuzz_one.hpp"
#include "fuzz/memory_file.hpp"

#include <popalign/base/error.hpp>
#include <popalign/store/weights/safetensors.hpp>

#include <vector>

namespace popalign::fuzz {

/// Opens the file and unpacks its tensors.
void fuzz_one(std::span<const std::uint8_t> input) {
    const MemoryFile memory(input);
    try {
        const store::SafetensorsModel model(memory.path());
        for (const store::TensorView& tensor : model.tensors()) {
            std::vector<float> values(tensor.count());
            store::dequantise(tensor, values);
        }
    } catch (const Error&) {
    }
}

}  // namespace popalign::fuzz
