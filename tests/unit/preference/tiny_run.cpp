#include "unit/preference/tiny_run.hpp"

#include "unit/preference/tiny_model.hpp"

#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/store/pairs/pair_store.hpp>

#include <nlohmann/json.hpp>

namespace popalign::test {
namespace {

constexpr int special_tokens = 3;

std::string utf8(int code) {
    if (code < 0x80)
        return {static_cast<char>(code)};
    return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

/// The characters that byte-level BPE writes for the bytes 0 to 255 (GPT-2's table).
std::vector<std::string> byte_symbols() {
    std::vector<std::string> symbols;
    int moved = 256;
    for (int byte = 0; byte < 256; ++byte) {
        const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
        symbols.push_back(utf8(printable ? byte : moved++));
    }
    return symbols;
}

std::string tokenizer_json() {
    nlohmann::json vocabulary = nlohmann::json::object(), added = nlohmann::json::array();
    int id = 0;
    for (const std::string& symbol : byte_symbols())
        vocabulary[symbol] = id++;
    for (const char* token : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"})
        added.push_back({{"id", id++},
                         {"content", token},
                         {"single_word", false},
                         {"lstrip", false},
                         {"rstrip", false},
                         {"normalized", false},
                         {"special", true}});
    const nlohmann::json byte_level = {{"type", "ByteLevel"},
                                       {"add_prefix_space", false},
                                       {"trim_offsets", true},
                                       {"use_regex", true}};
    return nlohmann::json{{"version", "1.0"},
                          {"truncation", nullptr},
                          {"padding", nullptr},
                          {"added_tokens", added},
                          {"normalizer", nullptr},
                          {"pre_tokenizer", byte_level},
                          {"post_processor", nullptr},
                          {"decoder", byte_level},
                          {"model",
                           {{"type", "BPE"},
                            {"dropout", nullptr},
                            {"unk_token", nullptr},
                            {"continuing_subword_prefix", nullptr},
                            {"end_of_word_suffix", nullptr},
                            {"fuse_unk", false},
                            {"byte_fallback", false},
                            {"ignore_merges", false},
                            {"vocab", vocabulary},
                            {"merges", nlohmann::json::array()}}}}
        .dump();
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
    const lm::TrainableLm model = tiny_model("llama", at::kFloat, at::kCPU, 256 + special_tokens);
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
