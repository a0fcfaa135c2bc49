#include "unit/store/pairs/sample_rows.hpp"

#include <popalign/store/pairs/pair_rows.hpp>

#include <fmt/format.h>

namespace popalign::test {
namespace {

constexpr std::size_t responses_each = 3;

Response sample_response(std::uint64_t row) {
    Response response;
    response.instruction = row / responses_each;
    response.generation = static_cast<std::uint32_t>(row % 2);
    response.text = row % 7 == 0 ? "" : fmt::format("Antwort {} für 東京\n", row);
    response.thought = row % 3 == 0 ? std::string(row % 50, 't') : "";
    for (std::uint64_t token = 0; token < row % 11; ++token)
        response.tokens.push_back(static_cast<std::int32_t>(row * 100 + token));
    response.logprob = -0.125 * static_cast<double>(row);
    response.finish_reason = row % 5 == 0 ? FinishReason::length : FinishReason::stop;
    response.parsed = row % 4 != 0;
    response.seed = 0x9E3779B97F4A7C15U * (row + 1);
    response.attempts = 1 + static_cast<std::uint32_t>(row % 3);
    response.prompt_tokens = 10 * row;
    response.answer_tokens = row;
    return response;
}

}  // namespace

store::PairFileHeader sample_header() {
    store::PairFileHeader header;
    header.config = "run: {name: sample}\n# " + std::string(200'000, 'x') + "\n";
    header.provenance = R"({"version": "0"})";
    header.models = {{"teacher", "models/a.gguf", std::string(64, 'a'), 135'000'000, "tok", "chat"},
                     {"student", "", "", 7, "", ""}};
    header.generations = {{"teacher/plain", 0, "- user: {instruction}\n"},
                          {"student/plain", 1, ""}};
    header.strategies = {{"prefix", "prompt", "alignment"}, {"nparam", "model", "alignment"}};
    return header;
}

store::PairBlock sample_block(Range instructions) {
    store::PairBlock block;
    for (std::size_t row = instructions.begin; row < instructions.end; ++row) {
        block.instructions.push_back({fmt::format("id-{}", row), row % 2 == 0 ? "écrit" : "",
                                      fmt::format("Question {}?", row),
                                      row % 8 == 0 ? Split::held_out : Split::train});
        const std::uint64_t first = row * responses_each;
        for (std::uint64_t i = 0; i < responses_each; ++i)
            block.responses.push_back(sample_response(first + i));
        for (std::uint32_t strategy = 0; strategy < 2; ++strategy)
            block.pairs.push_back(
                {row, strategy, first, first + 1 + strategy,
                 row % 6 == 0 ? static_cast<std::uint32_t>(PairFlag::refusal) : 0});
    }
    return block;
}

std::vector<store::JudgeRow> sample_judges() {
    return {{"teacher", std::string(64, 'a'), "pairwise", std::string(64, 'b')},
            {"länge", "", "longer", ""}};
}

std::vector<Verdict> sample_verdicts(Range pairs) {
    std::vector<Verdict> verdicts;
    for (std::uint64_t pair = pairs.begin; pair < pairs.end; ++pair)
        for (std::uint32_t judge = 0; judge < 2; ++judge)
            for (const auto order : {AnswerOrder::rejected_first, AnswerOrder::chosen_first})
                verdicts.push_back(
                    {pair, judge, order, static_cast<VerdictLabel>((pair + judge) % 3),
                     1.0 / static_cast<double>(pair + 2), fmt::format("A{}", pair), pair % 2 == 0});
    return verdicts;
}

}  // namespace popalign::test
