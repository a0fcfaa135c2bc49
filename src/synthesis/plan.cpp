#include "synthesis/budget.hpp"
#include "synthesis/calibration.hpp"
#include "synthesis/question.hpp"
#include "synthesis/setup.hpp"

#include <popalign/base/memory.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <nlohmann/json.hpp>

#include <span>

namespace popalign::synthesis {
namespace {

using nlohmann::ordered_json;

/// In the pair file and in a journal, beside text and token ids.
constexpr double row_bytes = 120;
constexpr double bytes_per_token = 9;  // text and id of an answer's token, where none was measured

/// Estimates for a generation before it is made.
struct Estimate {
    std::uint64_t answers = 0, answer_tokens_at_most = 0;
    double prompt_tokens = 0, answer_tokens = 0, bytes = 0;
};

/// Counts the tokens of each generation's prompts, without the answers to earlier turns.
/// Collective.
std::vector<std::uint64_t> measure_prompts(const comm::Communicator& comm,
                                           const SynthesisInputs& inputs,
                                           const SynthesisSetup& setup) {
    std::vector<std::uint64_t> tokens(setup.plan.generations.size(), 0);
    const Range mine = partition(setup.instructions.size(), comm.rank(), comm.size());
    comm::run_on_all(comm, [&] {
        for (std::size_t g = 0; g < tokens.size(); ++g) {
            const PlannedGeneration& generation = setup.plan.generations[g];
            const lm::ModelBackend& model = *setup.models.at(generation.model).source;
            const std::vector<std::string> unknown(generation.turns.size() - 1);
            for (std::size_t i = mine.begin; i < mine.end; ++i)
                if (setup.coverage->has_generation(i, g))
                    tokens[g] += model.measure(
                        make_question(inputs, generation, setup.instructions[i], unknown));
        }
    });
    comm::all_reduce(comm, std::span(tokens), comm::Reduction::sum);
    return tokens;
}

/// Estimates generation `g`; `known` holds the generations before it.
Estimate estimate(const SynthesisSetup& setup, const Calibration& sample, std::size_t g,
                  std::uint64_t prompt_tokens, std::int64_t longest,
                  std::span<const Estimate> known) {
    const PlannedGeneration& generation = setup.plan.generations[g];
    const AnswerTally& drawn = sample.generations[g];
    Estimate result;
    result.answers = setup.coverage->generation_count(g);
    const auto answers = static_cast<double>(result.answers);
    result.answer_tokens_at_most = result.answers * static_cast<std::uint64_t>(longest);
    const bool measured = drawn.answers > 0;
    result.answer_tokens = measured ? answers * drawn.mean_answer_tokens()
                                    : static_cast<double>(result.answer_tokens_at_most);
    result.bytes = answers * row_bytes + (measured ? answers * drawn.mean_bytes()
                                                   : result.answer_tokens * bytes_per_token);
    // Prompts are known except for the answers in them; each further attempt sends them again.
    const double attempts =
        measured ? static_cast<double>(drawn.attempts) / static_cast<double>(drawn.answers) : 1;
    result.prompt_tokens = static_cast<double>(prompt_tokens);
    for (auto earlier = generation.previous; earlier;
         earlier = setup.plan.generations[*earlier].previous)
        if (known[*earlier].answers > 0)
            result.prompt_tokens += answers * known[*earlier].answer_tokens /
                                    static_cast<double>(known[*earlier].answers);
    result.prompt_tokens *= attempts;
    return result;
}

ordered_json generation_json(const SynthesisInputs& inputs, const SynthesisSetup& setup,
                             const AnswerTally& sample, const Estimate& known, std::size_t g) {
    const PlannedGeneration& generation = setup.plan.generations[g];
    const std::vector<std::string> earlier(generation.turns.size() - 1,
                                           "<answer to the turn before>");
    std::size_t first = 0;
    while (!setup.coverage->has_generation(first, g))
        ++first;
    const auto preview =
        setup.models.at(generation.model)
            .source->preview(make_question(inputs, generation, setup.instructions[first], earlier));
    return {{"name", generation.name},
            {"model", generation.model},
            {"answers", known.answers},
            {"prompt_tokens", known.prompt_tokens},
            {"answer_tokens", known.answer_tokens},
            {"answer_tokens_at_most", known.answer_tokens_at_most},
            {"sample",
             {{"answers", sample.answers},
              {"attempts", sample.attempts},
              {"mean_prompt_tokens", sample.mean_prompt_tokens()},
              {"mean_answer_tokens", sample.mean_answer_tokens()}}},
            {"first_prompt", preview.text},
            {"first_prompt_tokens", preview.tokens}};
}

ordered_json strategies_json(const SynthesisSetup& setup) {
    auto list = ordered_json::array();
    for (std::size_t s = 0; s < setup.plan.strategies.size(); ++s) {
        ordered_json entry{{"name", setup.plan.strategies[s].name},
                           {"level", setup.plan.strategies[s].level},
                           {"variant", setup.plan.strategies[s].variant}};
        std::uint64_t count = 0;
        for (std::size_t p = 0; p < setup.plan.pairs.size(); ++p) {
            const PlannedPair& pair = setup.plan.pairs[p];
            if (pair.strategy != s)
                continue;
            count += setup.coverage->pair_count(p);
            entry["chosen"].push_back(setup.plan.generations[pair.chosen].name);
            entry["rejected"].push_back(setup.plan.generations[pair.rejected].name);
        }
        entry["pairs"] = count;
        list.push_back(entry);
    }
    return list;
}

/// Time, memory and cost of one model; `seconds` is null if nothing was measured.
ordered_json model_json(const SynthesisInputs& inputs, const NamedModel& model,
                        const std::string& name, const ModelSample& sample, double prompt_tokens,
                        double answer_tokens, int ranks) {
    const SynthesisOptions& options = inputs.synthesis;
    const std::int64_t longest =
        options.max_input_tokens + options.max_new_tokens + options.max_thought_tokens;
    ordered_json entry{
        {"name", name},
        {"parameters", model.identity.parameters},
        {"prompt_tokens", prompt_tokens},
        {"answer_tokens", answer_tokens},
        {"cost", token_cost(inputs.models.at(name), static_cast<std::uint64_t>(prompt_tokens),
                            static_cast<std::uint64_t>(answer_tokens))},
        {"seconds", nullptr},
        {"weights_bytes_per_node", model.source->weight_bytes(model.identity)},
        {"cache_bytes_per_rank_at_most",
         model.source->cache_bytes(longest) * static_cast<std::uint64_t>(options.batch_size)}};
    if (sample.rank_seconds > 0 && sample.tokens > 0) {
        const double rate = static_cast<double>(sample.tokens) / sample.rank_seconds;
        entry["sample_tokens_per_rank_second"] = rate;
        entry["load_seconds"] = sample.load_seconds;
        entry["seconds"] = sample.load_seconds + (prompt_tokens + answer_tokens) / rate / ranks;
    }
    return entry;
}

ordered_json sums_of(const ordered_json& models) {
    ordered_json sums{
        {"prompt_tokens", 0.0}, {"answer_tokens", 0.0}, {"cost", 0.0}, {"seconds", 0.0}};
    for (const auto& model : models)
        for (auto& [key, sum] : sums.items())
            sum = sum.is_null() || model[key].is_null()
                      ? ordered_json()
                      : ordered_json(sum.get<double>() + model[key].get<double>());
    return sums;
}

ordered_json budget_json(const BudgetOptions& limit, const ordered_json& sums) {
    ordered_json entry{{"cost", limit.cost}, {"hours", limit.hours}};
    entry["enough"] = (limit.cost <= 0 || sums["cost"].get<double>() <= limit.cost) &&
                      (limit.hours <= 0 || sums["seconds"].is_null() ||
                       sums["seconds"].get<double>() <= 3600 * limit.hours);
    return entry;
}

/// Collective.
std::string make_plan(const comm::Communicator& comm, const SynthesisInputs& inputs,
                      const SynthesisSetup& setup, const Calibration& sample) {
    const auto prompts = measure_prompts(comm, inputs, setup);
    const Coverage unshared(make_generation_plan(inputs.strategies, Sharing::none),
                            setup.instructions, inputs.run.seed);
    ordered_json result{{"instructions", setup.instructions.size()},
                        {"pairs", setup.coverage->pairs()},
                        {"answers", setup.coverage->generations()},
                        {"answers_without_sharing", unshared.generations()},
                        {"strategies", strategies_json(setup)}};

    std::vector<Estimate> known;
    std::map<std::string, std::pair<double, double>> tokens;
    double bytes = 0;
    for (std::size_t g = 0; g < prompts.size(); ++g) {
        const auto longest = token_limit(inputs.synthesis, setup.plan.generations[g]);
        known.push_back(estimate(setup, sample, g, prompts[g], longest, known));
        tokens[setup.plan.generations[g].model].first += known[g].prompt_tokens;
        tokens[setup.plan.generations[g].model].second += known[g].answer_tokens;
        bytes += known[g].bytes;
        result["generations"].push_back(
            generation_json(inputs, setup, sample.generations[g], known[g], g));
    }
    for (const auto& [name, model] : setup.models)
        result["models"].push_back(model_json(inputs, model, name, sample.models.at(name),
                                              tokens[name].first, tokens[name].second,
                                              comm.size()));
    result["sum"] = sums_of(result["models"]);
    result["journal_bytes"] = bytes;
    result["pair_file_bytes"] = bytes;
    result["available_memory_here"] = available_memory();
    result["ranks"] = comm.size();
    result["budget"] = budget_json(inputs.synthesis.max_budget, result["sum"]);
    result["basis"] =
        "answer_tokens, bytes and seconds are those of the sample's answers times what is to be "
        "made (answer_tokens_at_most where there is no sample); a small sample makes small "
        "batches, so that the run is usually faster";
    return result.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

std::string plan_synthesis(const lm::ModelRanks& ranks, const SynthesisInputs& inputs,
                           const Deadline& deadline) {
    const SynthesisSetup setup = prepare_synthesis(ranks.leaders(), inputs);
    return make_plan(ranks.leaders(), inputs, setup, calibrate(ranks, inputs, setup, deadline));
}

std::string describe_synthesis(const SynthesisInputs& inputs) {
    const SynthesisSetup setup = prepare_synthesis(comm::Communicator(), inputs);
    Calibration none;
    none.generations.resize(setup.plan.generations.size());
    for (const std::string& name : setup.plan.models())
        none.models[name] = {};
    return make_plan(comm::Communicator(), inputs, setup, none);
}

}  // namespace popalign::synthesis
