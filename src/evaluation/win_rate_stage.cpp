#include <popalign/base/file.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/evaluation/win_rate_stage.hpp>
#include <popalign/lm/pairwise_judge.hpp>
#include <popalign/record/verdict_summary.hpp>
#include <popalign/store/pair_store.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace popalign {
namespace {

/// One instruction with both answers and what the judge said.
struct Item {
    std::string id, instruction, answer, baseline;
    std::vector<Verdict> verdicts =
        std::vector<Verdict>(2);  // by order; `chosen` is the aligned model

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& id& instruction& answer& baseline& verdicts;
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

at::ScalarType dtype(const ModelOptions& model) {
    return model.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat;
}

std::vector<std::string> answer(const WinRateInputs& inputs, const ModelOptions& options,
                                const std::vector<Item>& items, at::Device device) {
    const ModelFrontEnd front_end = load_front_end(options.path, options.chat_template);
    const ChatTemplate& chat = front_end.require_chat(options.path);
    std::vector<GenerationRequest> requests;
    for (const Item& item : items) {
        const Message message{Role::user, item.instruction};
        requests.push_back(
            {encode_pieces(front_end.tokenizer, chat.render_prompt(std::span(&message, 1))),
             inputs.evaluate.max_new_tokens,
             RandomStream(inputs.run.seed, item.id, "evaluate win-rate")});
    }
    const CausalLm model = load_for_inference(options.path, dtype(options), device);
    const Generator generator(model, front_end.stop_tokens,
                              {inputs.evaluate.sampling, inputs.evaluate.batch_size});
    std::vector<std::string> answers(items.size());
    generator.generate(requests, [&](std::size_t index, const GeneratedTokens& result) {
        answers[index] = front_end.tokenizer.decode(result.tokens);
    });
    return answers;
}

void judge(const WinRateInputs& inputs, std::vector<Item>& items, std::uint64_t first_item,
           at::Device device) {
    const ModelOptions& options = named(inputs, inputs.evaluate.judge);
    const ModelFrontEnd front_end = load_front_end(options.path, options.chat_template);
    const CausalLm model = load_for_inference(options.path, dtype(options), device);
    const PairwiseJudge pairwise(model, front_end,
                                 load_judge_template(inputs.evaluate.judge_template));
    std::vector<Comparison> comparisons;
    for (const Item& item : items)
        comparisons.push_back({item.instruction, item.answer, item.baseline});
    pairwise.judge(comparisons, inputs.evaluate.batch_tokens,
                   [&](std::size_t index, Verdict verdict) {
                       verdict.pair = first_item + index;
                       items[index].verdicts[static_cast<std::size_t>(verdict.order)] = verdict;
                   });
}

void write_result(const WinRateInputs& inputs, const std::vector<Item>& items) {
    std::vector<Verdict> verdicts;
    std::string rows;
    for (const Item& item : items) {
        verdicts.insert(verdicts.end(), item.verdicts.begin(), item.verdicts.end());
        rows += nlohmann::ordered_json{{"id", item.id},
                                       {"instruction", item.instruction},
                                       {"answer", item.answer},
                                       {"baseline", item.baseline},
                                       {"probability_answer_first", item.verdicts[0].probability},
                                       {"probability_baseline_first", item.verdicts[1].probability}}
                    .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
                "\n";
    }
    const VerdictSummary summary = summarise_verdicts(verdicts);
    const nlohmann::ordered_json json{{"win_rate", summary.accuracy},
                                      {"lower", summary.lower},
                                      {"upper", summary.upper},
                                      {"interval", "Wilson, 95 %"},
                                      {"n", summary.n},
                                      {"n_valid", summary.n_valid},
                                      {"ties", summary.ties},
                                      {"position_consistency", summary.position_consistency},
                                      {"model", inputs.model.path},
                                      {"baseline", named(inputs, inputs.evaluate.baseline).path},
                                      {"judge", named(inputs, inputs.evaluate.judge).path},
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

void run_win_rate(const Communicator& comm, const WinRateInputs& inputs) {
    const int local_rank = comm.split_node().rank();
    std::uint64_t held_out = 0;
    std::vector<Item> items = run_on_all(comm, [&] {
        inputs.evaluate.validate();
        const PairFile file(inputs.pairs);
        std::vector<Item> all;
        for (const auto& instruction : file.instructions({0, file.instruction_count()}))
            if (instruction.split == Split::held_out)
                all.push_back({instruction.id, instruction.text, "", ""});
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
    run_on_all(comm, [&] {
        if (items.empty())
            return;
        const at::Device device = select_device(inputs.run.device, local_rank);
        const auto answers = answer(inputs, inputs.model, items, device);
        const auto baselines =
            answer(inputs, named(inputs, inputs.evaluate.baseline), items, device);
        for (std::size_t i = 0; i < items.size(); ++i) {
            items[i].answer = answers[i];
            items[i].baseline = baselines[i];
        }
        judge(inputs, items, partition(held_out, comm.rank(), comm.size()).begin, device);
    });
    std::vector<Item> all;
    for (auto& part : all_gather_objects(comm, items))
        all.insert(all.end(), part.begin(), part.end());
    run_on_all(comm, [&] {
        if (comm.is_root())
            write_result(inputs, all);
    });
}

}  // namespace popalign
