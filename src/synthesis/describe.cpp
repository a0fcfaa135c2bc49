#include "synthesis/setup.hpp"

#include <popalign/base/memory.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <nlohmann/json.hpp>

namespace popalign {

std::string describe_synthesis(const SynthesisInputs& inputs) {
    const SynthesisSetup setup = prepare_synthesis(Communicator(), inputs);
    nlohmann::ordered_json result;
    std::uint64_t prompts = 0, answers = 0;
    for (const auto& generation : setup.plan.generations) {
        const ModelSource& model = *setup.models.at(generation.model).source;
        std::uint64_t tokens = 0;
        if (!generation.previous)
            for (const auto& instruction : setup.instructions)
                tokens += model.measure(make_question(inputs, generation, instruction, {}));
        const std::vector<std::string> earlier(generation.turns.size() - 1,
                                               "<answer to the turn before>");
        const Question first =
            make_question(inputs, generation, setup.instructions.front(), earlier);
        const std::uint64_t longest =
            static_cast<std::uint64_t>(first.max_new_tokens) * setup.instructions.size();
        prompts += tokens;
        answers += longest;
        const auto preview = model.preview(first);
        result["generations"].push_back({{"name", generation.name},
                                         {"model", generation.model},
                                         {"prompt_tokens", tokens},
                                         {"answer_tokens_at_most", longest},
                                         {"first_prompt", preview.text},
                                         {"first_prompt_tokens", preview.tokens}});
    }
    constexpr std::uint64_t bytes_per_token = 9;  // text and id of an answer's token
    const std::size_t instructions = setup.instructions.size();
    result["instructions"] = instructions;
    result["answers"] = setup.coverage->generations();
    result["answers_without_sharing"] =
        instructions * make_generation_plan(inputs.strategies, Sharing::none).generations.size();
    result["pairs"] = setup.coverage->pairs();
    result["first_turn_prompt_tokens"] = prompts;
    result["answer_tokens_at_most"] = answers;
    result["pair_file_bytes_at_most"] = answers * bytes_per_token;
    const SynthesisOptions& options = inputs.synthesis;
    const std::int64_t longest =
        options.max_input_tokens + options.max_new_tokens + options.max_thought_tokens;
    for (const auto& [name, model] : setup.models)
        result["memory"][name] = {
            {"parameters", model.identity.parameters},
            {"weights_bytes_per_node", model.source->weight_bytes(model.identity)},
            {"cache_bytes_per_rank_at_most",
             model.source->cache_bytes(longest) * static_cast<std::uint64_t>(options.batch_size)}};
    result["memory"]["available_bytes_here"] = available_memory();
    return result.dump(2);
}

}  // namespace popalign
