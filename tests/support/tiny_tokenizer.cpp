#include "support/tiny_tokenizer.hpp"

namespace popalign::test {

std::string printable(unsigned char value) {
    const auto stands_for_itself = [](int byte) {
        return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    };
    int character = value;
    if (!stands_for_itself(value)) {
        character = 0x100;
        for (int byte = 0; byte < value; ++byte)
            character += stands_for_itself(byte) ? 0 : 1;
    }
    if (character < 0x80)
        return {static_cast<char>(character)};
    return {static_cast<char>(0xC0 | (character >> 6)),
            static_cast<char>(0x80 | (character & 0x3F))};
}

nlohmann::json tiny_tokenizer(const std::vector<std::string>& merges) {
    nlohmann::json vocabulary;
    for (int byte = 0; byte < 256; ++byte)
        vocabulary[printable(static_cast<unsigned char>(byte))] = byte;
    for (std::string merge : merges) {
        merge.erase(merge.find(' '), 1);
        vocabulary.emplace(merge, vocabulary.size());
    }
    const nlohmann::json byte_level{{"type", "ByteLevel"},
                                    {"add_prefix_space", false},
                                    {"trim_offsets", true},
                                    {"use_regex", true}};
    return {{"version", "1.0"},
            {"added_tokens", nlohmann::json::array()},
            {"normalizer", nullptr},
            {"pre_tokenizer", byte_level},
            {"decoder", byte_level},
            {"model",
             {{"type", "BPE"}, {"unk_token", nullptr}, {"vocab", vocabulary}, {"merges", merges}}}};
}

nlohmann::json added_token(int id, const std::string& content, bool special) {
    return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
            {"rstrip", false}, {"normalized", false}, {"special", special}};
}

}  // namespace popalign::test
