#include "evaluation/benchmark_answers.hpp"

#include <popalign/base/config.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/base/progress.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/backends/model_backend.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

namespace popalign::evaluation {
namespace {

lm::Question question_of(const BenchmarkInputs& inputs, const BenchmarkItem& item, std::size_t turn,
                         const std::vector<std::string>& earlier) {
    std::vector<Message> dialogue = item.context;
    for (std::size_t t = 0; t <= turn; ++t) {
        dialogue.push_back({Role::user, item.turns[t]});
        if (t < turn)
            dialogue.push_back({Role::assistant, earlier[t]});
    }
    const std::string which = turn == 0 ? "" : fmt::format(" turn {}", turn + 1);
    return {std::move(dialogue),
            "",
            inputs.evaluate.max_new_tokens,
            RandomStream(inputs.run.seed, item.id, "evaluate " + inputs.benchmark.name + which),
            item.id,
            as_transcript(instruction_of(item)),
            turn == 0 ? "evaluate" : fmt::format("turn-{}", turn + 1)};
}

double temperature_of(const BenchmarkInputs& inputs, const BenchmarkItem& item) {
    return item.temperature.value_or(inputs.evaluate.sampling.temperature);
}

/// A turn and a temperature, answered in one round.
struct Round {
    std::size_t turn;
    double temperature;
    auto operator<=>(const Round&) const = default;
};

/// Rounds of all items: all ranks go through the same ones.
std::set<Round> rounds_of(const BenchmarkInputs& inputs) {
    std::set<Round> rounds;
    for (const BenchmarkItem& item : inputs.benchmark.items)
        for (std::size_t turn = 0; turn < item.turns.size(); ++turn)
            rounds.insert({turn, temperature_of(inputs, item)});
    return rounds;
}

/// Questions of one round for this rank, and their items.
struct Asked {
    std::vector<lm::Question> questions;
    std::vector<std::size_t> items;
    std::vector<store::MapKey> keys;  ///< of the answers in the journal
};

/// Returns everything that determines an answer, except the floating-point order of its batch.
store::MapKey answer_key(const std::string& model, const BenchmarkInputs& inputs,
                         const lm::SamplingOptions& sampling, const lm::Question& question) {
    std::string content =
        fmt::format("{}\n{}\n{}\n{}\n{}", model, print_config(sampling), inputs.run.seed,
                    inputs.benchmark.name, question.id + '\0' + question.generation);
    content += fmt::format("\n{}\n", question.max_new_tokens);
    for (const std::string& stop : inputs.evaluate.stop)
        content += fmt::format("{}:{}", stop.size(), stop);
    for (const Message& message : question.messages)
        content += fmt::format("{} {}:{}", role_name(message.role), message.content.size(),
                               message.content);
    return AnswerEntry{sha256_hex(content), {}}.key();
}

/// Identity of the model that answers. Collective: one rank hashes it.
std::string identity_of(const comm::Communicator& comm, const lm::ModelBackend& backend,
                        const lm::ModelOptions& options) {
    std::string identity = comm::run_on_all(comm, [&] {
        if (!comm.is_root())
            return std::string();
        const lm::ModelIdentity own = backend.identify();
        return own.sha256 + own.tokenizer_sha256 + own.template_sha256 + options.dtype;
    });
    return comm::broadcast_object(comm, identity);
}

/// Answers the items with one model, round by round.
class Answering {
  public:
    Answering(const lm::ModelRanks& ranks, const BenchmarkInputs& inputs,
              const AnsweringModel& model, AnswerJournal& journal, const Deadline* deadline)
        : ranks_(ranks),
          inputs_(inputs),
          model_(model),
          journal_(journal),
          deadline_(deadline),
          backend_(comm::run_on_all(
              ranks.leaders(), [&] { return lm::make_model_backend(model.name, model.options); })),
          identity_(identity_of(ranks.leaders(), *backend_, model.options)) {}

    /// Appends one answer to each item of the round; false if the deadline left some. Collective.
    bool run(const Round& round, const std::vector<JudgedItem>& items,
             std::vector<std::vector<std::string>>& answers) {
        const comm::Communicator& comm = ranks_.leaders();
        lm::SamplingOptions sampling = inputs_.evaluate.sampling;
        sampling.temperature = round.temperature;
        const Asked asked =
            comm::run_on_all(comm, [&] { return ask(round, sampling, items, answers); });
        auto found = journal_.find_on_all(asked.keys);
        std::vector<std::size_t> missing;
        for (std::size_t i = 0; i < found.size(); ++i)
            if (!found[i])
                missing.push_back(i);
        announce(round, found.size(), missing.size());
        if (sum(missing.size()) > 0)
            make(sampling, asked, missing, found);
        std::size_t left = 0;
        for (std::size_t i = 0; i < found.size(); ++i) {
            answers[asked.items[i]].push_back(found[i].value_or(""));
            left += found[i] ? 0 : 1;
        }
        return sum(left) == 0;
    }

  private:
    std::uint64_t sum(std::size_t value) const {
        return comm::all_reduce<std::uint64_t>(ranks_.leaders(), value, comm::Reduction::sum);
    }

    Asked ask(const Round& round, const lm::SamplingOptions& sampling,
              const std::vector<JudgedItem>& items,
              const std::vector<std::vector<std::string>>& answers) const {
        Asked asked;
        for (std::size_t i = 0; i < items.size(); ++i) {
            const BenchmarkItem& item = items[i].item;
            if (round.turn >= item.turns.size() ||
                temperature_of(inputs_, item) != round.temperature)
                continue;
            asked.questions.push_back(question_of(inputs_, item, round.turn, answers[i]));
            backend_->measure(asked.questions.back());  // whether it can be asked
            asked.items.push_back(i);
            asked.keys.push_back(answer_key(identity_, inputs_, sampling, asked.questions.back()));
        }
        return asked;
    }

    void announce(const Round& round, std::size_t wanted, std::size_t missing) const {
        const auto all = sum(wanted), left = sum(missing);
        inputs_.logger.info(fmt::format("{}: {} answers of {} (turn {}), {} known, {} to make",
                                        inputs_.benchmark.name, all, model_.name, round.turn + 1,
                                        all - left, left));
    }

    /// Collective.
    void make(const lm::SamplingOptions& sampling, const Asked& asked,
              const std::vector<std::size_t>& missing,
              std::vector<std::optional<std::string>>& found) {
        const comm::Communicator& comm = ranks_.leaders();
        const auto session = comm::run_on_all(comm, [&] {
            return backend_->open({sampling, inputs_.evaluate.batch_size, false,
                                   inputs_.evaluate.stop, inputs_.run.device, ranks_,
                                   inputs_.logger});
        });
        comm::run_on_all(comm, [&] {
            std::vector<lm::Question> questions;
            for (const std::size_t i : missing)
                questions.push_back(asked.questions[i]);
            Progress progress(inputs_.logger, "answer", "answers", questions.size());
            session->answer(
                questions,
                [&](std::size_t index, lm::Answer result) {
                    if (model_.options.responses.empty())
                        journal_.add({asked.keys[missing[index]].text, result.text});
                    found[missing[index]] = std::move(result.text);
                    progress.advance();
                },
                [&] { return deadline_ == nullptr || !deadline_->reached(); });
            journal_.sync();
        });
    }

    const lm::ModelRanks& ranks_;
    const BenchmarkInputs& inputs_;
    const AnsweringModel& model_;
    AnswerJournal& journal_;
    const Deadline* deadline_;
    std::unique_ptr<lm::ModelBackend> backend_;
    std::string identity_;
};

}  // namespace

std::optional<std::vector<std::vector<std::string>>> answer_items(
    const lm::ModelRanks& ranks, const BenchmarkInputs& inputs, const AnsweringModel& model,
    const std::vector<JudgedItem>& items, AnswerJournal& journal, const Deadline* deadline) {
    std::vector<std::vector<std::string>> answers(items.size());
    Answering answering(ranks, inputs, model, journal, deadline);
    for (const Round& round : rounds_of(inputs))
        if (!answering.run(round, items, answers))
            return std::nullopt;
    return answers;
}

}  // namespace popalign::evaluation
