#include "synthesis/prompts.hpp"
#include "synthesis/response_ledger.hpp"

#include <popalign/base/hash.hpp>
#include <popalign/base/progress.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/language_model.hpp>
#include <popalign/store/jsonl.hpp>
#include <popalign/synthesis/generation_plan.hpp>
#include <popalign/synthesis/response_text.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>

namespace popalign {
namespace {

constexpr std::size_t responses_per_sync = 64;

struct NamedModel {
    ModelOptions options;
    ModelFrontEnd front_end;
    ModelIdentity identity;
};
using Models = std::map<std::string, NamedModel>;

std::vector<Instruction> select_instructions(const InstructionOptions& options) {
    std::vector<Instruction> all = read_instructions(options.path);
    const auto available = static_cast<std::int64_t>(all.size()) - options.offset;
    const auto limit =
        options.limit > 0 ? options.limit : std::max<std::int64_t>(available - options.held_out, 0);
    if (limit < 1 || limit + options.held_out > available)
        throw InputError(options.path,
                         fmt::format("{} instructions from number {} on do not give {} and {} held "
                                     "out; lower instructions.limit or held_out",
                                     available, options.offset, std::max<std::int64_t>(limit, 1),
                                     options.held_out));
    all.erase(all.begin(), all.begin() + options.offset);
    all.resize(static_cast<std::size_t>(limit + options.held_out));
    for (std::size_t i = static_cast<std::size_t>(limit); i < all.size(); ++i)
        all[i].split = Split::held_out;
    return all;
}

/// Every rank reads the front ends; the hashing of large files is spread over the ranks.
/// Collective.
Models load_models(const Communicator& comm, const SynthesisInputs& inputs,
                   const std::vector<std::string>& names) {
    Models models;
    run_on_all(comm, [&] {
        for (std::size_t i = 0; i < names.size(); ++i) {
            const auto found = inputs.models.find(names[i]);
            if (found == inputs.models.end())
                throw UsageError(
                    fmt::format("strategies name the model '{}', which `models` does "
                                "not have; add it",
                                names[i]));
            NamedModel model{
                found->second, load_front_end(found->second.path, found->second.chat_template), {}};
            model.front_end.require_chat(found->second.path);
            if (static_cast<int>(i % static_cast<std::size_t>(comm.size())) == comm.rank())
                model.identity = identify_model(found->second.path, model.front_end);
            models.emplace(names[i], std::move(model));
        }
    });
    for (std::size_t i = 0; i < names.size(); ++i) {
        ModelIdentity& identity = models.at(names[i]).identity;
        const int root = static_cast<int>(i % static_cast<std::size_t>(comm.size()));
        for (std::string* text : {&identity.path, &identity.sha256, &identity.tokenizer_sha256,
                                  &identity.template_sha256})
            *text = broadcast_object(comm, *text, root);
        identity.parameters = broadcast_object(comm, identity.parameters, root);
    }
    return models;
}

/// Hash of all that decides what the responses are: journals of another one must not be mixed in.
std::string fingerprint(const SynthesisInputs& inputs, const GenerationPlan& plan,
                        const Models& models, const std::vector<Instruction>& instructions) {
    const SynthesisOptions& options = inputs.synthesis;
    std::string text = fmt::format(
        "2 seed {} tokens {} {} {} sampling {} {} {} {} {} deterministic {} batch {}\n",
        inputs.run.seed, options.max_new_tokens, options.max_thought_tokens,
        options.max_input_tokens, options.sampling.temperature, options.sampling.top_k,
        options.sampling.top_p, options.sampling.min_p, options.sampling.repetition_penalty,
        options.deterministic, options.deterministic ? options.batch_size : 0);
    for (const auto& [name, model] : models)
        text += fmt::format("{} {} {} {} {}\n", name, model.identity.sha256,
                            model.identity.tokenizer_sha256, model.identity.template_sha256,
                            model.options.dtype);
    for (const auto& generation : plan.generations)
        text += generation.name + "\n" + generation.purpose;
    for (const auto& row : plan.strategies)
        text += fmt::format("{} {}\n", row.name, row.variant);
    for (const auto& instruction : instructions)
        text += fmt::format("{} {} {}\n", instruction.id, static_cast<int>(instruction.split),
                            sha256_hex(instruction.text));
    return sha256_hex(text);
}

std::vector<TokenId> encode_prompt(const ModelFrontEnd& front_end, const Prompt& prompt) {
    return encode_pieces(front_end.tokenizer,
                         front_end.chat->render_prompt(prompt.messages, prompt.assistant_prefix));
}

/// Leaves out instructions with a first prompt that is too long for any generation. Collective.
std::vector<Instruction> fitting(const Communicator& comm, const SynthesisInputs& inputs,
                                 const GenerationPlan& plan, const Models& models,
                                 std::vector<Instruction> instructions) {
    std::vector<std::uint8_t> too_long(instructions.size(), 0);
    const Range mine = partition(instructions.size(), comm.rank(), comm.size());
    for (std::size_t i = mine.begin; i < mine.end; ++i)
        for (const auto& generation : plan.generations)
            if (!generation.previous) {
                const auto tokens =
                    encode_prompt(models.at(generation.model).front_end,
                                  make_prompt(generation, instructions[i].text, {}));
                if (static_cast<std::int64_t>(tokens.size()) > inputs.synthesis.max_input_tokens)
                    too_long[i] = 1;
            }
    all_reduce(comm, std::span(too_long), Reduction::maximum);
    std::vector<Instruction> kept;
    for (std::size_t i = 0; i < instructions.size(); ++i)
        if (too_long[i] == 0)
            kept.push_back(std::move(instructions[i]));
    if (kept.size() < instructions.size())
        inputs.logger.warn(
            fmt::format("{} of {} instructions are left out: a prompt is longer than {} tokens "
                        "(synthesis.max_input_tokens)",
                        instructions.size() - kept.size(), instructions.size(),
                        inputs.synthesis.max_input_tokens));
    if (kept.empty())
        throw AgreedError(0, comm.size(),
                          "no instruction fits synthesis.max_input_tokens; raise it",
                          ExitStatus::wrong_use);
    return kept;
}

std::int64_t token_limit(const SynthesisOptions& options, const PlannedGeneration& generation) {
    return options.max_new_tokens +
           (generation.turns.back().parse == "plain" ? 0 : options.max_thought_tokens);
}

/// Tokens that went through a model, and that would have if every pair made both of its answers,
/// and the turns before them, for itself.
struct TokenCount {
    std::uint64_t computed = 0, without_sharing = 0;
};

/// How many pairs need each generation.
std::vector<std::uint64_t> count_uses(const GenerationPlan& plan) {
    std::vector<std::uint64_t> uses(plan.generations.size(), 0);
    for (const auto& [chosen, rejected] : plan.pairs)
        for (std::optional<std::size_t> at : {chosen, rejected})
            for (; at; at = plan.generations[*at].previous)
                ++uses[*at];
    return uses;
}

/// One rank's generating: fills its ledger model by model, turn by turn.
class Synthesizer {
  public:
    Synthesizer(const SynthesisInputs& inputs, const GenerationPlan& plan, const Models& models,
                const std::vector<Instruction>& instructions, ResponseLedger& ledger,
                const Deadline& deadline, at::Device device)
        : inputs_(inputs),
          plan_(plan),
          models_(models),
          instructions_(instructions),
          ledger_(ledger),
          deadline_(deadline),
          device_(device),
          progress_(inputs.logger, "generate", "answers", ledger.wanted() - ledger.made()) {}

    /// Of this run of the program.
    TokenCount tokens() const { return tokens_; }

    /// Returns before everything is made if the deadline is reached.
    void run() {
        for (const std::string& name : plan_.models()) {
            if (missing(name).empty())
                continue;
            const NamedModel& model = models_.at(name);
            const auto start = std::chrono::steady_clock::now();
            const CausalLm weights = load_for_inference(
                model.options.path, model.options.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat,
                device_);
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
            inputs_.logger.info(fmt::format("loaded {} ({}) in {:.1f} s", name, model.options.path,
                                            seconds.count()));
            // Each pass makes the answers to one more turn; at most as many passes as turns.
            while (!deadline_.reached()) {
                const auto ready = missing(name);
                if (ready.empty())
                    break;
                generate(model, weights, ready);
            }
        }
        ledger_.sync();
    }

  private:
    struct Item {
        std::size_t instruction, generation;
    };

    /// What this model can make now: not made, and the turns before are answered.
    std::vector<Item> missing(const std::string& model) const {
        std::vector<Item> items;
        for (std::size_t i = ledger_.rows().begin; i < ledger_.rows().end; ++i)
            for (std::size_t g = 0; g < plan_.generations.size(); ++g) {
                const PlannedGeneration& generation = plan_.generations[g];
                if (generation.model == model && !ledger_.find(i, g) &&
                    (!generation.previous || ledger_.find(i, *generation.previous)))
                    items.push_back({i, g});
            }
        return items;
    }

    std::vector<std::string> earlier_answers(const Item& item) const {
        std::vector<std::string> answers;
        for (auto at = plan_.generations[item.generation].previous; at;
             at = plan_.generations[*at].previous)
            answers.insert(answers.begin(), ledger_.find(item.instruction, *at)->text);
        return answers;
    }

    GenerationRequest request(const NamedModel& model, const Item& item) const {
        const PlannedGeneration& generation = plan_.generations[item.generation];
        const Instruction& instruction = instructions_[item.instruction];
        return {encode_prompt(model.front_end,
                              make_prompt(generation, instruction.text, earlier_answers(item))),
                token_limit(inputs_.synthesis, generation),
                RandomStream(inputs_.run.seed, instruction.id, generation.purpose)};
    }

    void generate(const NamedModel& model, const CausalLm& weights,
                  const std::vector<Item>& items) {
        std::vector<GenerationRequest> requests;
        for (const Item& item : items)
            requests.push_back(request(model, item));
        const Generator generator(weights, model.front_end.stop_tokens,
                                  {inputs_.synthesis.sampling, inputs_.synthesis.batch_size,
                                   inputs_.synthesis.deterministic});
        const GenerationStatistics statistics = generator.generate(
            requests,
            [&](std::size_t index, GeneratedTokens result) {
                record(model, items[index], requests[index], std::move(result));
            },
            [&] { return !deadline_.reached(); });
        tokens_.computed += statistics.computed_tokens + statistics.generated_tokens;
    }

    void record(const NamedModel& model, const Item& item, const GenerationRequest& request,
                GeneratedTokens result) {
        const Turn& turn = plan_.generations[item.generation].turns.back();
        ParsedText parsed =
            parse_answer(model.front_end.tokenizer.decode(result.tokens), turn.parse);
        tokens_.without_sharing +=
            uses_[item.generation] * (request.prompt.size() + result.token_logprobs.size());
        Response response;
        response.instruction = item.instruction;
        response.generation = static_cast<std::uint32_t>(item.generation);
        response.text = std::move(parsed.text);
        response.thought = std::move(parsed.thought);
        response.parsed = parsed.parsed;
        response.tokens = std::move(result.tokens);
        response.logprob = result.logprob;
        response.finish_reason = result.finish_reason;
        response.seed = request.stream.key();
        ledger_.add(response);
        if (++unsynced_ % responses_per_sync == 0)
            ledger_.sync();
        progress_.advance();
    }

    const SynthesisInputs& inputs_;
    const GenerationPlan& plan_;
    const Models& models_;
    const std::vector<Instruction>& instructions_;
    ResponseLedger& ledger_;
    const Deadline& deadline_;
    at::Device device_;
    Progress progress_;
    std::vector<std::uint64_t> uses_ = count_uses(plan_);
    TokenCount tokens_;
    std::size_t unsynced_ = 0;
};

PairFileHeader make_header(const SynthesisInputs& inputs, const GenerationPlan& plan,
                           const Models& models, const std::string& key) {
    PairFileHeader header;
    header.config = inputs.config_text;
    auto provenance = nlohmann::json::parse(inputs.provenance);
    provenance["fingerprint"] = key;
    header.provenance = provenance.dump();
    std::map<std::string, std::uint32_t> rows;
    for (const auto& [name, model] : models) {
        rows[name] = static_cast<std::uint32_t>(header.models.size());
        header.models.push_back({name, model.identity.path, model.identity.sha256,
                                 model.identity.parameters, model.identity.tokenizer_sha256,
                                 model.identity.template_sha256});
    }
    for (const auto& generation : plan.generations)
        header.generations.push_back(
            {generation.name, rows.at(generation.model), turns_text(generation.turns)});
    header.strategies = plan.strategies;
    return header;
}

PairBlock make_block(const GenerationPlan& plan, const std::vector<Instruction>& instructions,
                     ResponseLedger& ledger) {
    const Range rows = ledger.rows();
    const std::size_t generations = plan.generations.size();
    PairBlock block;
    block.instructions.assign(instructions.begin() + static_cast<std::ptrdiff_t>(rows.begin),
                              instructions.begin() + static_cast<std::ptrdiff_t>(rows.end));
    block.responses = ledger.take();
    for (std::size_t i = rows.begin; i < rows.end; ++i)
        for (std::size_t s = 0; s < plan.pairs.size(); ++s) {
            const auto& [chosen, rejected] = plan.pairs[s];
            const std::size_t local = (i - rows.begin) * generations;
            block.pairs.push_back(
                {i, static_cast<std::uint32_t>(s), i * generations + chosen,
                 i * generations + rejected,
                 pair_flags(block.responses[local + chosen], block.responses[local + rejected])});
        }
    return block;
}

void report_flags(const Communicator& comm, const GenerationPlan& plan, const PairBlock& block,
                  const Logger& logger) {
    std::vector<std::uint64_t> counts(plan.strategies.size() * pair_flag_names.size(), 0);
    for (const auto& pair : block.pairs)
        for (std::size_t f = 0; f < pair_flag_names.size(); ++f)
            if ((pair.flags & static_cast<std::uint32_t>(pair_flag_names[f].first)) != 0)
                ++counts[pair.strategy * pair_flag_names.size() + f];
    all_reduce(comm, std::span(counts), Reduction::sum);
    for (std::size_t s = 0; s < plan.strategies.size(); ++s) {
        std::string line = fmt::format("{}: flagged", plan.strategies[s].name);
        for (std::size_t f = 0; f < pair_flag_names.size(); ++f)
            line += fmt::format(" {} {}", counts[s * pair_flag_names.size() + f],
                                pair_flag_names[f].second);
        logger.info(line);
    }
}

void report_tokens(const Communicator& comm, const TokenCount& mine, const Logger& logger) {
    std::vector<std::uint64_t> counts{mine.computed, mine.without_sharing};
    all_reduce(comm, std::span(counts), Reduction::sum);
    if (counts[1] > 0)
        logger.info(fmt::format(
            "{} tokens computed, {} without shared prefixes and generations: {:.0f} % saved",
            counts[0], counts[1],
            100 * (1 - static_cast<double>(counts[0]) / static_cast<double>(counts[1]))));
}

/// Whether the pair file of exactly this run is there; another one's is not overwritten.
bool already_made(const std::filesystem::path& path, const std::string& key) {
    if (!std::filesystem::exists(path))
        return false;
    const auto provenance =
        nlohmann::json::parse(PairFile(path).header().provenance, nullptr, false);
    if (provenance.is_object() && provenance.value("fingerprint", "") == key)
        return true;
    throw UsageError(path.native() +
                     ": made with other settings, models or instructions; choose another "
                     "run.directory or remove the file");
}

}  // namespace

void SynthesisOptions::validate() const {
    sampling.validate();
    if (max_new_tokens < 1 || max_thought_tokens < 0 || max_input_tokens < 1 || batch_size < 1)
        throw UsageError(
            "synthesis: max_new_tokens, max_input_tokens and batch_size must be at least 1 and "
            "max_thought_tokens at least 0");
}

std::filesystem::path pair_file_path(const RunOptions& run) {
    return std::filesystem::path(run.directory) / "pairs.h5";
}

ExitStatus run_synthesis(const Communicator& comm, const SynthesisInputs& inputs,
                         const Deadline& deadline) {
    const Logger& logger = inputs.logger;
    std::vector<Instruction> instructions;
    GenerationPlan plan;
    run_on_all(comm, [&] {
        inputs.synthesis.validate();
        plan = make_generation_plan(inputs.strategies,
                                    inputs.synthesis.share ? Sharing::equal_once : Sharing::none);
        instructions = select_instructions(inputs.instructions);
    });
    const Models models = load_models(comm, inputs, plan.models());
    instructions = fitting(comm, inputs, plan, models, std::move(instructions));
    const std::string key = fingerprint(inputs, plan, models, instructions);
    const auto path = pair_file_path(inputs.run);
    if (run_on_all(comm, [&] { return already_made(path, key); })) {
        logger.info(fmt::format("{}: complete already", path.native()));
        return ExitStatus::done;
    }
    if (inputs.synthesis.deterministic)
        at::set_num_threads(1);

    const auto directory =
        std::filesystem::path(inputs.run.directory) / "synthesis" / key.substr(0, 16);
    ResponseLedger ledger(comm, directory, instructions.size(), plan.generations.size(), logger);
    const auto made = all_reduce<std::uint64_t>(comm, ledger.made(), Reduction::sum);
    logger.info(
        fmt::format("{} instructions x {} distinct generations for {} strategies; {} of {} "
                    "answers are made already",
                    instructions.size(), plan.generations.size(), plan.strategies.size(), made,
                    instructions.size() * plan.generations.size()));
    const auto start = std::chrono::steady_clock::now();
    const int local_rank = comm.split_node().rank();
    const TokenCount mine = run_on_all(comm, [&] {
        Synthesizer synthesizer(inputs, plan, models, instructions, ledger, deadline,
                                select_device(inputs.run.device, local_rank));
        synthesizer.run();
        return synthesizer.tokens();
    });
    report_tokens(comm, mine, logger);
    const auto left =
        all_reduce<std::uint64_t>(comm, ledger.wanted() - ledger.made(), Reduction::sum);
    if (left > 0) {
        logger.warn(
            fmt::format("stopped at the deadline with {} answers to make; run it again", left));
        return ExitStatus::requeue;
    }
    const PairBlock block = make_block(plan, instructions, ledger);
    report_flags(comm, plan, block, logger);
    write_pair_file(comm, path, make_header(inputs, plan, models, key), block);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    logger.info(fmt::format("{}: {} pairs in {}", path.native(),
                            instructions.size() * plan.pairs.size(),
                            format_seconds(seconds.count())));
    return ExitStatus::done;
}

std::string describe_synthesis(const SynthesisInputs& inputs) {
    const Communicator alone;
    inputs.synthesis.validate();
    const GenerationPlan plan = make_generation_plan(
        inputs.strategies, inputs.synthesis.share ? Sharing::equal_once : Sharing::none);
    const Models models = load_models(alone, inputs, plan.models());
    const auto instructions =
        fitting(alone, inputs, plan, models, select_instructions(inputs.instructions));
    nlohmann::ordered_json result;
    std::uint64_t prompts = 0, answers = 0;
    for (const auto& generation : plan.generations) {
        std::uint64_t tokens = 0;
        const Prompt first = make_prompt(
            generation, instructions[0].text,
            std::vector<std::string>(generation.turns.size() - 1, "<answer to the turn before>"));
        if (!generation.previous)
            for (const auto& instruction : instructions)
                tokens += encode_prompt(models.at(generation.model).front_end,
                                        make_prompt(generation, instruction.text, {}))
                              .size();
        const auto limit = static_cast<std::uint64_t>(token_limit(inputs.synthesis, generation));
        prompts += tokens;
        answers += limit * instructions.size();
        const auto& front_end = models.at(generation.model).front_end;
        result["generations"].push_back(
            {{"name", generation.name},
             {"model", generation.model},
             {"prompt_tokens", tokens},
             {"answer_tokens_at_most", limit * instructions.size()},
             {"first_prompt",
              to_text(front_end.chat->render_prompt(first.messages, first.assistant_prefix))},
             {"first_prompt_tokens", encode_prompt(front_end, first)}});
    }
    constexpr std::uint64_t bytes_per_token = 9;  // text and id of an answer's token
    result["instructions"] = instructions.size();
    result["answers"] = instructions.size() * plan.generations.size();
    result["answers_without_sharing"] =
        instructions.size() *
        make_generation_plan(inputs.strategies, Sharing::none).generations.size();
    result["pairs"] = instructions.size() * plan.pairs.size();
    result["first_turn_prompt_tokens"] = prompts;
    result["answer_tokens_at_most"] = answers;
    result["pair_file_bytes_at_most"] = answers * bytes_per_token;
    for (const auto& [name, model] : models)
        result["memory_bytes"][name] =
            model.identity.parameters * (model.options.dtype == "bfloat16" ? 2 : 4);
    return result.dump(2);
}

}  // namespace popalign
