#include "synthesis/synthesizer.hpp"

#include "synthesis/question.hpp"
#include "synthesis/response_text.hpp"

#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/comm/work_schedule.hpp>
#include <popalign/lm/engine/occupancy.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <memory>
#include <optional>

namespace popalign::synthesis {
namespace {

constexpr std::size_t responses_per_sync = 64;

/// Returns the pairs that need each generation, repeated for each use.
std::vector<std::vector<std::size_t>> find_users(const GenerationPlan& plan) {
    std::vector<std::vector<std::size_t>> users(plan.generations.size());
    for (std::size_t p = 0; p < plan.pairs.size(); ++p)
        for (std::optional<std::size_t> generation : {plan.pairs[p].chosen, plan.pairs[p].rejected})
            for (; generation; generation = plan.generations[*generation].previous)
                users[*generation].push_back(p);
    return users;
}

}  // namespace

/// The work for one model that this rank draws.
class Synthesizer::Phase {
  public:
    Phase(Synthesizer& owner, std::size_t number, const std::string& model)
        : owner_(owner),
          number_(number),
          search_(owner.work_ledger_.search(number, [&owner, model](int shard) {
              return std::make_shared<const comm::WorkSchedule>(
                  owner.units_.missing(owner.work_ledger_, shard, model, owner.ledger_),
                  owner.work_ledger_.workers(shard),
                  static_cast<std::size_t>(owner.inputs_.synthesis.batch_size));
          })) {}

    std::size_t ready() const { return ready_.size(); }
    /// Draws work until a worker with that many slots has enough, or nothing is left.
    void draw(const lm::Occupancy& occupancy) {
        while (has_more_ && owner_.may_go_on() &&
               occupancy.under_way + ready_.size() <
                   search_.holding(occupancy.slots, occupancy.step_overhead)) {
            const auto chunk = comm::next_chunk(owner_.work_ledger_, number_, search_);
            has_more_ = !chunk.empty();
            for (const comm::WorkUnit& unit : chunk)
                add_first_turns(unit);
        }
    }
    /// Takes the next item that can be made now; there must be one.
    Item next() {
        const Item item = ready_.front();
        ready_.pop_front();
        return item;
    }
    void add(const Item& item) { ready_.push_back(item); }

  private:
    void add_first_turns(const comm::WorkUnit& unit) {
        const ResponseLedger& ledger = owner_.ledger_;
        const std::uint64_t instruction = owner_.units_.instruction(unit);
        for (const std::size_t g : owner_.units_.generations(unit)) {
            const auto previous = owner_.setup_.plan.generations[g].previous;
            if (ledger.needs(instruction, g) && !ledger.is_made(instruction, g) &&
                (!previous || ledger.is_made(instruction, *previous)))
                add({instruction, g});
        }
    }

    Synthesizer& owner_;
    std::size_t number_;
    comm::WorkSearch search_;
    bool has_more_ = true;  // beyond the drawn work
    std::deque<Item> ready_;
};

Synthesizer::Synthesizer(const SynthesisInputs& inputs, const SynthesisSetup& setup,
                         ResponseLedger& ledger, Budget& budget, const Deadline& deadline,
                         const lm::ModelRanks& ranks)
    : inputs_(inputs),
      setup_(setup),
      ledger_(ledger),
      budget_(budget),
      deadline_(deadline),
      ranks_(ranks),
      units_(inputs, setup),
      work_ledger_(ranks.leaders(), ranks.node_leaders(), setup.plan.models().size()),
      progress_(inputs.logger, "generate", "answers",
                (ledger.wanted() - ledger.made_before()) /
                    static_cast<std::uint64_t>(ranks.leaders().size())),
      users_(find_users(setup.plan)) {}

void Synthesizer::run() {
    if (!work_ledger_.spans_nodes())
        inputs_.logger.warn(
            "this MPI offers nothing one-sided between nodes, so each node makes its own share "
            "alone; see slurm/README.md");
    std::optional<Error> failure;
    const auto attempt = [&](auto&& work) {
        try {
            return work();
        } catch (const Error& error) {
            failure = error;
        } catch (const std::exception& error) {
            failure = Error(error.what());
        }
        work_ledger_.stop();
    };
    const auto models = setup_.plan.models();
    for (std::size_t number = 0; number < models.size(); ++number) {
        Phase phase(*this, number, models[number]);
        if (!failure)
            attempt([&] { phase.draw({0, 1}); });
        // A model is loaded only if there is work for it. A failed rank still takes part in
        // loading.
        if (comm::all_reduce<std::uint8_t>(ranks_.node_leaders(), phase.ready() > 0 ? 1 : 0,
                                           comm::Reduction::maximum) == 0)
            continue;
        attempt([&] {
            const auto session = open(models[number]);
            if (!failure)
                answer_all(models[number], *session, phase);
        });
    }
    comm::agree_on_failure(ranks_.leaders(), failure);
    work_ledger_.finish();
    budget_.save();
}

/// Collective over the leaders of the node.
std::unique_ptr<lm::ModelSession> Synthesizer::open(const std::string& model) {
    const SynthesisOptions& options = inputs_.synthesis;
    const auto start = std::chrono::steady_clock::now();
    auto session = comm::run_on_all(ranks_.node_leaders(), [&] {
        return setup_.models.at(model).source->open({options.sampling, options.batch_size,
                                                     options.deterministic, options.stop,
                                                     inputs_.run.device, ranks_, inputs_.logger});
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    work_[model].load_seconds += seconds.count();
    return session;
}

bool Synthesizer::may_go_on() {
    return budget_.hours_left() && !deadline_.reached();
}

void Synthesizer::answer_all(const std::string& model, lm::ModelSession& session, Phase& phase) {
    const auto start = std::chrono::steady_clock::now();
    asked_.clear();
    const auto done = [&](std::size_t number, lm::Answer answer) {
        const Asked asked = std::move(asked_[number]);
        const auto [instruction, generation] = asked.item;
        record(asked, std::move(answer));
        if (!ledger_.is_made(instruction, generation))
            phase.add(asked.item);
        else
            for (const std::size_t g : ledger_.next_turns(generation))
                if (ledger_.needs(instruction, g) && !ledger_.is_made(instruction, g))
                    phase.add({instruction, g});
    };
    const auto keep_going = [&] {
        work_ledger_.progress();
        return may_go_on();
    };
    const auto more = [&](const lm::Occupancy& occupancy) {
        phase.draw(occupancy);
        std::vector<lm::Question> questions;
        // A question too expensive now is tried again after more of the budget is settled.
        for (std::size_t tries = phase.ready();
             tries > 0 && occupancy.under_way + questions.size() < occupancy.slots; --tries) {
            const Item item = phase.next();
            if (auto question = ask(model, item))
                questions.push_back(std::move(*question));
            else
                phase.add(item);
        }
        return questions;
    };
    tokens_.computed += session.answer({}, done, keep_going, more);
    ledger_.sync();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    work_[model].seconds += seconds.count();
}

/// Returns nothing if the question may cost more than the rest of the budget.
std::optional<lm::Question> Synthesizer::ask(const std::string& model, const Item& item) {
    const auto spent = unparsed_.find(item);
    lm::Question question = make_question(
        inputs_, setup_.plan.generations[item.generation], setup_.instructions[item.instruction],
        earlier_answers(item), spent == unparsed_.end() ? 0 : spent->second.attempts);
    const auto reserved = budget_.reserve(model, question);
    if (!reserved)
        return std::nullopt;
    asked_.push_back({item, question.stream, *reserved});
    return question;
}

std::vector<std::string> Synthesizer::earlier_answers(const Item& item) {
    std::vector<std::string> answers;
    const auto& generations = setup_.plan.generations;
    for (auto earlier = generations[item.generation].previous; earlier;
         earlier = generations[*earlier].previous)
        answers.insert(answers.begin(), ledger_.text(item.instruction, *earlier));
    return answers;
}

void Synthesizer::record(const Asked& asked, lm::Answer answer) {
    const Item& item = asked.item;
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
    budget_.settle(setup_.plan.generations[item.generation].model, asked.reserved,
                   answer.prompt_tokens, answer.answer_tokens);
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
    response.seed = asked.stream.key();
    response.attempts = spent.attempts;
    response.prompt_tokens = spent.prompt_tokens;
    response.answer_tokens = spent.answer_tokens;
    ledger_.add(response);
    if (++unsynced_ % responses_per_sync == 0)
        ledger_.sync();
    progress_.advance();
}

}  // namespace popalign::synthesis
