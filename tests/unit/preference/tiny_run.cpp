#include "unit/preference/tiny_run.hpp"

#include "support/tiny_model.hpp"
#include "support/tiny_tokenizer.hpp"

#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/store/pairs/pair_writer.hpp>

#include <nlohmann/json.hpp>

namespace popalign::test {
namespace {

constexpr int special_tokens = 3;

/// A byte tokenizer with ChatML's special tokens behind the bytes.
std::string tokenizer_json() {
    nlohmann::json tokenizer = tiny_tokenizer({});
    int id = 256;
    for (const char* token : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"})
        tokenizer["added_tokens"].push_back(added_token(id++, token, true));
    return tokenizer.dump();
}

Response answer(std::uint64_t instruction, std::uint32_t generation, std::string text) {
    Response response;
    response.instruction = instruction;
    response.generation = generation;
    response.text = std::move(text);
    return response;
}

}  // namespace

lm::ModelFrontEnd byte_front_end() {
    lm::ModelFrontEnd front_end{lm::Tokenizer::from_json_text(tokenizer_json(), "test tokenizer"),
                                lm::ChatTemplate::named("chatml"),
                                {}};
    front_end.stop_tokens.push_back(*front_end.tokenizer.special_token("<|im_end|>"));
    return front_end;
}

void write_tiny_model(const std::filesystem::path& directory) {
    const lm::TrainableLm model =
        make_tiny_model("llama", 7, at::kFloat, at::kCPU, 256 + special_tokens);
    lm::save_hf_model(directory, model, byte_front_end(), "{}");
}

void write_tiny_pairs(const comm::Communicator& comm, const std::filesystem::path& path) {
    store::PairFileHeader header;
    header.provenance = "{}";
    header.models = {{"teacher", "nowhere", "0", 1, "0", "0"}};
    header.generations = {{"teacher/good", 0, ""}, {"teacher/bad", 0, ""}};
    header.strategies = {{"good", "prompt", "alignment"}, {"other", "model", "alignment"}};
    store::PairBlock block;
    for (std::uint64_t i = 0; i < 10 && comm.is_root(); ++i) {
        const std::string number = std::to_string(i);
        block.instructions.push_back({"instruction-" + number, "test", "What is " + number + "?",
                                      i < 8 ? Split::train : Split::held_out});
        block.responses.push_back(answer(i, 0, "A fine number " + number));
        block.responses.push_back(answer(i, 1, "No" + std::string(i, '!')));
        block.pairs.push_back({i, 0, 2 * i, 2 * i + 1, 0});
        block.pairs.push_back({i, 1, 2 * i + 1, 2 * i, 0});
    }
    if (comm.is_root()) {
        block.pairs[3].flags = static_cast<std::uint32_t>(PairFlag::identical);
        block.responses[4].finish_reason = FinishReason::length;
        block.responses[6].text = std::string(150, 'x');
    }
    store::write_pair_file(comm, path, header, block);
}

}  // namespace popalign::test
