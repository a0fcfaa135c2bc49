#include <popalign/base/file.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/evaluation/win_rate_stage.hpp>
#include <popalign/lm/answer_judge.hpp>
#include <popalign/lm/model_source.hpp>
#include <popalign/record/verdict_summary.hpp>
#include <popalign/store/pair_store.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace popalign {
namespace {

/// One instruction with both answers and what the judge said.
struct Item {
    Instruction instruction;
    std::string answer, baseline;
    std::vector<Verdict> verdicts =
        std::vector<Verdict>(2);  // by order; `chosen` is the aligned model

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& instruction& answer& baseline& verdicts;
    }
};

const ModelOptions& named(const WinRateInputs& inputs, const std::string& name) {
    const auto found = inputs.models.find(name);
    if (found == inputs.models.end())
        throw UsageError(
            fmt::format("evaluate names the model '{}', which `models` does not have; "
                        "add it",
                        name));
    return found->second;
}

/// Collective over the leaders: the model is loaded by a node's ranks together.
std::vector<std::string> answer(const ModelRanks& ranks, const WinRateInputs& inputs,
                                const std::string& name, const ModelOptions& model,
                                const std::vector<Item>& items) {
    const Communicator& comm = ranks.leaders();
    std::vector<Question> questions;
    const auto source = run_on_all(comm, [&] {
        auto made = make_model_source(name, model);
        for (const Item& item : items) {
            std::vector<Message> dialogue = item.instruction.context;
            dialogue.push_back({Role::user, item.instruction.text});
            questions.push_back(
                {std::move(dialogue), "", inputs.evaluate.max_new_tokens,
                 RandomStream(inputs.run.seed, item.instruction.id, "evaluate win-rate"),
                 item.instruction.id, as_transcript(item.instruction), "evaluate"});
            made->measure(questions.back());
        }
        return made;
    });
    const auto answerer = run_on_all(comm, [&] {
        return source->open({inputs.evaluate.sampling, inputs.evaluate.batch_size, false,
                             inputs.evaluate.stop, inputs.run.device, ranks, inputs.logger});
    });
    std::vector<std::string> answers(items.size());
    run_on_all(comm, [&] {
        answerer->answer(
            questions,
            [&](std::size_t index, Answer result) { answers[index] = std::move(result.text); }, {});
    });
    return answers;
}

/// Collective, as `answer`.
void judge(const ModelRanks& ranks, const WinRateInputs& inputs, std::vector<Item>& items,
           std::uint64_t first_item) {
    const std::string& name = inputs.evaluate.judge;
    const Communicator& comm = ranks.leaders();
    const JudgeTemplate judge_template =
        run_on_all(comm, [&] { return load_judge_template(inputs.evaluate.judge_template); });
    const auto answer_judge = run_on_all(comm, [&] {
        return open_judge(name, named(inputs, name), judge_template,
                          {inputs.evaluate.batch_tokens, inputs.run.device, ranks, inputs.logger});
    });
    std::vector<Comparison> comparisons;
    for (const Item& item : items)
        comparisons.push_back({as_transcript(item.instruction), item.answer, item.baseline});
    run_on_all(comm, [&] {
        answer_judge->judge(comparisons, [&](std::size_t index, Verdict verdict) {
            verdict.pair = first_item + index;
            items[index].verdicts[static_cast<std::size_t>(verdict.order)] = verdict;
        });
    });
}

/// What a model is called in results.
std::string address(const ModelOptions& model) {
    return !model.path.empty()        ? model.path
           : !model.responses.empty() ? model.responses
                                      : model.endpoint.url + " " + model.endpoint.model;
}

void write_result(const WinRateInputs& inputs, const std::vector<Item>& items) {
    std::vector<Verdict> verdicts;
    std::string rows;
    for (const Item& item : items) {
        verdicts.insert(verdicts.end(), item.verdicts.begin(), item.verdicts.end());
        rows += nlohmann::ordered_json{{"id", item.instruction.id},
                                       {"instruction", as_transcript(item.instruction)},
                                       {"answer", item.answer},
                                       {"baseline", item.baseline},
                                       {"probability_answer_first", item.verdicts[0].probability},
                                       {"probability_baseline_first", item.verdicts[1].probability}}
                    .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
                "\n";
    }
    const VerdictSummary summary = summarise_verdicts(verdicts);
    const nlohmann::ordered_json json{
        {"win_rate", summary.accuracy},
        {"lower", summary.lower},
        {"upper", summary.upper},
        {"interval", "Wilson, 95 %"},
        {"n", summary.n},
        {"n_valid", summary.n_valid},
        {"ties", summary.ties},
        {"position_consistency", summary.position_consistency},
        {"model", address(inputs.model)},
        {"baseline", address(named(inputs, inputs.evaluate.baseline))},
        {"judge", address(named(inputs, inputs.evaluate.judge))},
        {"template", inputs.evaluate.judge_template},
        {"provenance", nlohmann::json::parse(inputs.provenance)}};
    std::filesystem::create_directories(inputs.output.parent_path());
    auto items_path = inputs.output;
    write_text_file(items_path.replace_extension(".jsonl"), rows);
    write_text_file(inputs.output, json.dump(2) + "\n");
    inputs.logger.info(fmt::format(
        "win rate over the baseline: {:.1f} % ({:.1f} to {:.1f} %, n = {})", 100 * summary.accuracy,
        100 * summary.lower, 100 * summary.upper, summary.n_valid));
}

}  // namespace

void EvaluateOptions::validate() const {
    sampling.validate();
    if (max_new_tokens < 1 || batch_size < 1 || batch_tokens < 1)
        throw UsageError(
            "evaluate: max_new_tokens, batch_size and batch_tokens must be at least 1");
}

void run_win_rate(const ModelRanks& ranks, const WinRateInputs& inputs) {
    const Communicator& comm = ranks.leaders();
    std::uint64_t held_out = 0;
    std::vector<Item> items = run_on_all(comm, [&] {
        inputs.evaluate.validate();
        named(inputs, inputs.evaluate.baseline);
        named(inputs, inputs.evaluate.judge);
        const PairFile file(inputs.pairs);
        std::vector<Item> all;
        for (const auto& instruction : file.instructions({0, file.instruction_count()}))
            if (instruction.split == Split::held_out)
                all.push_back({instruction, "", ""});
        if (all.empty())
            throw UsageError(inputs.pairs.native() +
                             ": no held-out instructions in it; set instructions.held_out");
        held_out = all.size();
        const Range mine = partition(all.size(), comm.rank(), comm.size());
        std::vector<Item> part;
        for (std::size_t i = mine.begin; i < mine.end; ++i)
            part.push_back(std::move(all[i]));
        return part;
    });
    const std::string& baseline = inputs.evaluate.baseline;
    const auto answers = answer(ranks, inputs, "model", inputs.model, items);
    const auto baselines = answer(ranks, inputs, baseline, named(inputs, baseline), items);
    for (std::size_t i = 0; i < items.size(); ++i) {
        items[i].answer = answers[i];
        items[i].baseline = baselines[i];
    }
    judge(ranks, inputs, items, partition(held_out, comm.rank(), comm.size()).begin);
    std::vector<Item> all;
    for (auto& part : all_gather_objects(comm, items))
        all.insert(all.end(), part.begin(), part.end());
    run_on_all(comm, [&] {
        if (comm.is_root())
            write_result(inputs, all);
    });
}

}  // namespace popalign
