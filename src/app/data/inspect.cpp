#include "app/command/command.hpp"
#include "app/command/model_arguments.hpp"

#include <popalign/base/file.hpp>
#include <popalign/campaign/cost.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <map>
#include <memory>

namespace popalign::app {
namespace {

struct Arguments {
    std::string path;
    std::int64_t row = -1;
    bool verify = false, cost = false;
};

nlohmann::ordered_json parse_or_text(const std::string& text) {
    const auto parsed = nlohmann::ordered_json::parse(text, nullptr, false);
    return parsed.is_discarded() ? nlohmann::ordered_json(text) : parsed;
}

nlohmann::ordered_json describe_pairs(const store::PairFile& file) {
    const store::PairFileHeader& header = file.header();
    nlohmann::ordered_json json{{"format", "popalign.pairs"},
                                {"instructions", file.instruction_count()},
                                {"responses", file.response_count()},
                                {"pairs", file.pair_count()}};
    for (const auto& model : header.models)
        json["models"].push_back({{"name", model.name},
                                  {"path", model.path},
                                  {"sha256", model.sha256},
                                  {"parameters", model.parameters}});
    std::vector<std::map<std::string, std::uint64_t>> flags(header.strategies.size());
    std::vector<std::uint64_t> counts(header.strategies.size(), 0);
    for (const auto& pair : file.pairs({0, file.pair_count()})) {
        ++counts[pair.strategy];
        for (const auto& [flag, name] : pair_flag_names)
            if ((pair.flags & static_cast<std::uint32_t>(flag)) != 0)
                ++flags[pair.strategy][std::string(name)];
    }
    for (std::size_t s = 0; s < header.strategies.size(); ++s)
        json["strategies"].push_back({{"name", header.strategies[s].name},
                                      {"level", header.strategies[s].level},
                                      {"variant", header.strategies[s].variant},
                                      {"pairs", counts[s]},
                                      {"flags", flags[s]}});
    for (const auto& judge : file.judges())
        json["judges"].push_back({{"name", judge.name}, {"template", judge.template_name}});
    json["verdicts"] = file.verdicts().size();
    json["reference"] = file.reference_keys();
    json["provenance"] = parse_or_text(header.provenance);
    json["config"] = header.config;
    return json;
}

nlohmann::ordered_json describe_row(const store::PairFile& file, std::uint64_t row) {
    if (row >= file.pair_count())
        throw UsageError(fmt::format("--row {}: the file has rows 0 to {}", row,
                                     static_cast<std::int64_t>(file.pair_count()) - 1));
    const PreferencePair pair = file.pairs({row, row + 1}).front();
    const Instruction instruction =
        file.instructions({pair.instruction, pair.instruction + 1}).front();
    const std::uint64_t rows[] = {pair.chosen, pair.rejected};
    const auto responses = file.responses(rows);
    nlohmann::ordered_json json{{"row", row},
                                {"strategy", file.header().strategies[pair.strategy].name},
                                {"instruction_id", instruction.id},
                                {"instruction", instruction.text}};
    for (std::size_t side = 0; side < 2; ++side)
        json[side == 0 ? "chosen" : "rejected"] = {
            {"generation", file.header().generations[responses[side].generation].name},
            {"text", responses[side].text},
            {"thought", responses[side].thought},
            {"tokens", responses[side].tokens.size()},
            {"logprob", responses[side].logprob},
            {"finish_reason",
             responses[side].finish_reason == FinishReason::stop ? "stop" : "length"}};
    for (const auto& [flag, name] : pair_flag_names)
        if ((pair.flags & static_cast<std::uint32_t>(flag)) != 0)
            json["flags"].push_back(name);
    for (const auto& verdict : file.verdicts())
        if (verdict.pair == row)
            json["verdicts"].push_back(
                {{"order",
                  verdict.order == AnswerOrder::chosen_first ? "chosen first" : "rejected first"},
                 {"probability", verdict.probability}});
    return json;
}

nlohmann::ordered_json describe_model(const std::string& path) {
    const lm::ModelConfig config = lm::load_model_config(path);
    const lm::ModelFrontEnd front_end = lm::load_front_end(path);
    const lm::ModelIdentity identity = lm::identify_model(path, front_end);
    return {{"architecture", config.architecture},
            {"parameters", identity.parameters},
            {"layers", config.num_hidden_layers},
            {"hidden_size", config.hidden_size},
            {"vocabulary", config.vocab_size},
            {"positions", config.max_position_embeddings},
            {"chat_template", front_end.chat ? front_end.chat->name() : ""},
            {"stop_tokens", front_end.stop_tokens},
            {"sha256", identity.sha256},
            {"tokenizer_sha256", identity.tokenizer_sha256},
            {"template_sha256", identity.template_sha256}};
}

ExitStatus inspect(const Arguments& arguments) {
    const std::filesystem::path path = arguments.path;
    nlohmann::ordered_json json;
    ExitStatus status = ExitStatus::done;
    if (arguments.cost) {
        json = parse_or_text(campaign::total_cost(path));
    } else if (path.extension() == ".h5" || path.extension() == ".hdf5") {
        const store::PairFile file(path);
        if (arguments.verify) {
            const auto problems = file.verify();
            json = {{"problems", problems}};
            status = problems.empty() ? ExitStatus::done : ExitStatus::failed;
        } else {
            json = arguments.row >= 0
                       ? describe_row(file, static_cast<std::uint64_t>(arguments.row))
                       : describe_pairs(file);
        }
    } else if (std::filesystem::exists(path / "state.json")) {
        json = parse_or_text(read_text_file(path / "state.json"));
    } else {
        json = describe_model(arguments.path);
    }
    std::puts(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return status;
}

}  // namespace

Command make_inspect_command(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser =
        app.add_subcommand("inspect", "describes a pair file (.h5), checkpoint or model");
    parser->add_option("path", arguments->path, "the file or directory")->required();
    parser->add_option("--row", arguments->row, "show this pair");
    parser->add_flag("--verify", arguments->verify, "read everything and check it");
    parser->add_flag("--cost", arguments->cost,
                     "add up what all stages below a run's or sweep's directory used");
    return {parser, [arguments](const CommandContext& context) {
                auto status = static_cast<std::int32_t>(ExitStatus::done);
                comm::run_on_all(context.comm, [&] {
                    if (context.comm.is_root())
                        status = static_cast<std::int32_t>(inspect(*arguments));
                });
                return static_cast<ExitStatus>(
                    comm::all_reduce<std::int32_t>(context.comm, status, comm::Reduction::maximum));
            }};
}

}  // namespace popalign::app
