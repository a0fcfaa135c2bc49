#include "synthesis/synthesizer.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/synthesis/response_text.hpp>

#include <chrono>

namespace popalign {
namespace {

constexpr std::size_t responses_per_sync = 64;

/// The pairs that need each generation, once for each time they do.
std::vector<std::vector<std::size_t>> find_users(const GenerationPlan& plan) {
    std::vector<std::vector<std::size_t>> users(plan.generations.size());
    for (std::size_t p = 0; p < plan.pairs.size(); ++p)
        for (std::optional<std::size_t> at : {plan.pairs[p].chosen, plan.pairs[p].rejected})
            for (; at; at = plan.generations[*at].previous)
                users[*at].push_back(p);
    return users;
}

}  // namespace

Synthesizer::Synthesizer(const SynthesisInputs& inputs, const SynthesisSetup& setup,
                         ResponseLedger& ledger, Budget& budget, const Deadline& deadline)
    : inputs_(inputs),
      setup_(setup),
      ledger_(ledger),
      budget_(budget),
      deadline_(deadline),
      progress_(inputs.logger, "generate", "answers", ledger.wanted() - ledger.made()),
      users_(find_users(setup.plan)) {}

void Synthesizer::run(const ModelRanks& ranks) {
    const SynthesisOptions& options = inputs_.synthesis;
    const Communicator& comm = ranks.leaders();
    for (const std::string& name : setup_.plan.models()) {
        const std::uint8_t mine = missing(name).empty() ? 0 : 1;
        if (all_reduce(comm, mine, Reduction::maximum) == 0)
            continue;
        const auto start = std::chrono::steady_clock::now();
        const auto answerer = run_on_all(comm, [&] {
            return setup_.models.at(name).source->open({options.sampling, options.batch_size,
                                                        options.deterministic, options.stop,
                                                        inputs_.run.device, ranks, inputs_.logger});
        });
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        work_[name].load_seconds += seconds.count();
        run_on_all(comm, [&] { answer_all(name, *answerer); });
    }
    budget_.save();
}

bool Synthesizer::may_go_on() {
    return budget_.hours_left() && !deadline_.reached();
}

void Synthesizer::answer_all(const std::string& model, Answerer& answerer) {
    ModelWork& work = work_[model];
    const auto start = std::chrono::steady_clock::now();
    // Each pass makes the answers to one more turn, or tries once more, as far as the budget goes.
    while (may_go_on()) {
        const auto ready = missing(model);
        const std::uint64_t before = work.answers;
        if (!ready.empty())
            generate(model, answerer, ready);
        if (work.answers == before)
            break;
    }
    ledger_.sync();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    work.seconds += seconds.count();
}

/// What this model can make now: not made, and the turns before are answered.
std::vector<Synthesizer::Item> Synthesizer::missing(const std::string& model) const {
    std::vector<Item> items;
    for (std::size_t i = ledger_.rows().begin; i < ledger_.rows().end; ++i)
        for (std::size_t g = 0; g < setup_.plan.generations.size(); ++g) {
            const PlannedGeneration& generation = setup_.plan.generations[g];
            if (generation.model == model && ledger_.needs(i, g) && !ledger_.find(i, g) &&
                (!generation.previous || ledger_.find(i, *generation.previous)))
                items.push_back({i, g});
        }
    return items;
}

std::vector<std::string> Synthesizer::earlier_answers(const Item& item) const {
    std::vector<std::string> answers;
    for (auto at = setup_.plan.generations[item.generation].previous; at;
         at = setup_.plan.generations[*at].previous)
        answers.insert(answers.begin(), ledger_.find(item.instruction, *at)->text);
    return answers;
}

void Synthesizer::generate(const std::string& model, Answerer& answerer,
                           const std::vector<Item>& items) {
    std::vector<Question> questions;
    for (const Item& item : items) {
        const auto spent = unparsed_.find(item);
        Question question =
            make_question(inputs_, setup_.plan.generations[item.generation],
                          setup_.instructions[item.instruction], earlier_answers(item),
                          spent == unparsed_.end() ? 0 : spent->second.attempts);
        if (!budget_.reserve(model, question))
            break;
        questions.push_back(std::move(question));
    }
    tokens_.computed += answerer.answer(
        questions,
        [&](std::size_t index, Answer answer) {
            record(items[index], questions[index], std::move(answer));
        },
        [&] { return may_go_on(); });
    budget_.release();
}

void Synthesizer::record(const Item& item, const Question& question, Answer answer) {
    const Turn& turn = setup_.plan.generations[item.generation].turns.back();
    ParsedText parsed = parse_answer(answer.text, turn.parse);
    const bool here =
        !inputs_.models.at(setup_.plan.generations[item.generation].model).path.empty();
    for (const std::size_t pair : users_[item.generation])
        if (here && setup_.coverage->has_pair(item.instruction, pair))
            tokens_.without_sharing += answer.prompt_tokens + answer.answer_tokens;
    ModelWork& work = work_[setup_.plan.generations[item.generation].model];
    ++work.answers;
    work.prompt_tokens += answer.prompt_tokens;
    work.answer_tokens += answer.answer_tokens;
    budget_.settle(setup_.plan.generations[item.generation].model, answer.prompt_tokens,
                   answer.answer_tokens);
    Spent spent = unparsed_.contains(item) ? unparsed_.extract(item).mapped() : Spent();
    ++spent.attempts;
    spent.prompt_tokens += answer.prompt_tokens;
    spent.answer_tokens += answer.answer_tokens;
    if (!parsed.parsed && !answer.refused && spent.attempts <= inputs_.synthesis.parse_retries) {
        unparsed_[item] = spent;
        return;
    }
    Response response;
    response.instruction = item.instruction;
    response.generation = static_cast<std::uint32_t>(item.generation);
    response.text = std::move(parsed.text);
    response.thought = std::move(parsed.thought);
    response.parsed = parsed.parsed && !answer.refused;
    response.tokens = std::move(answer.tokens);
    response.logprob = answer.logprob;
    response.finish_reason = answer.finish_reason;
    response.seed = question.stream.key();
    response.attempts = spent.attempts;
    response.prompt_tokens = spent.prompt_tokens;
    response.answer_tokens = spent.answer_tokens;
    ledger_.add(response);
    if (++unsynced_ % responses_per_sync == 0)
        ledger_.sync();
    progress_.advance();
}

}  // namespace popalign
