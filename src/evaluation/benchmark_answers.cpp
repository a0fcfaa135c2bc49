#include "evaluation/benchmark_answers.hpp"

#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/model_source.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace popalign {
namespace {

Question question_of(const BenchmarkInputs& inputs, const BenchmarkItem& item, std::size_t turn,
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

/// A turn and a temperature: what one loading of the model answers.
struct Round {
    std::size_t turn;
    double temperature;
    auto operator<=>(const Round&) const = default;
};

/// Of all items, so that all ranks go through the same ones.
std::set<Round> rounds_of(const BenchmarkInputs& inputs) {
    std::set<Round> rounds;
    for (const BenchmarkItem& item : inputs.benchmark.items)
        for (std::size_t turn = 0; turn < item.turns.size(); ++turn)
            rounds.insert({turn, temperature_of(inputs, item)});
    return rounds;
}

}  // namespace

std::vector<std::vector<std::string>> answer_items(const ModelRanks& ranks,
                                                   const BenchmarkInputs& inputs,
                                                   const std::string& name,
                                                   const ModelOptions& model,
                                                   const std::vector<JudgedItem>& items) {
    const Communicator& comm = ranks.leaders();
    std::vector<std::vector<std::string>> answers(items.size());
    const auto source = run_on_all(comm, [&] { return make_model_source(name, model); });
    for (const Round& round : rounds_of(inputs)) {
        std::vector<Question> questions;
        std::vector<std::size_t> places;
        run_on_all(comm, [&] {
            for (std::size_t i = 0; i < items.size(); ++i) {
                const BenchmarkItem& item = items[i].item;
                if (round.turn >= item.turns.size() ||
                    temperature_of(inputs, item) != round.temperature)
                    continue;
                questions.push_back(question_of(inputs, item, round.turn, answers[i]));
                source->measure(questions.back());
                places.push_back(i);
            }
        });
        SamplingOptions sampling = inputs.evaluate.sampling;
        sampling.temperature = round.temperature;
        const auto answerer = run_on_all(comm, [&] {
            return source->open({sampling, inputs.evaluate.batch_size, false, inputs.evaluate.stop,
                                 inputs.run.device, ranks, inputs.logger});
        });
        run_on_all(comm, [&] {
            for (const std::size_t place : places)
                answers[place].emplace_back();
            answerer->answer(questions,
                             [&](std::size_t index, Answer result) {
                                 answers[places[index]].back() = std::move(result.text);
                             },
                             {});
        });
    }
    return answers;
}

}  // namespace popalign
