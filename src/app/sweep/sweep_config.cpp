#include "app/sweep/sweep_config.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/fingerprint.hpp>
#include <popalign/synthesis/generation_plan.hpp>
#include <popalign/synthesis/strategy.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace popalign::app {
namespace {

using Json = nlohmann::ordered_json;

std::string lines(const Fingerprint& keys) {
    std::string text;
    for (const auto& [name, value] : keys)
        text += fmt::format("{}={}\n", name, value);
    return text;
}

/// Returns all keys that differ from their defaults, except those that affect only speed.
template <class Options>
Fingerprint determining_keys(const Options& options, const std::string& section) {
    return changed_keys_of({Effect::result, Effect::model, Effect::file}, options, section);
}

/// Returns the name itself if it is no entry of `models`, e.g. a built-in judge's.
std::string model(const Config& config, const std::string& name) {
    const auto found = config.models.find(name);
    return found == config.models.end() ? name + "\n"
                                        : lines(determining_keys(found->second, "models." + name));
}

/// A section's keys, then those of the models that it names. A model's name counts too: answers are
/// drawn, and verdicts filed, by it.
template <class Options>
std::string determinants(const Config& config, const std::string& section, const Options& options) {
    std::string text = lines(determining_keys(options, section));
    for (const ConfigValue& key : config_values(options, section))
        if (key.effect == Effect::model && !key.bare.empty())
            text += model(config, key.bare);
    return text;
}

std::string data_determinants(const Config& config) {
    std::string text = fmt::format("run.seed={}\n", config.run.seed) +
                       determinants(config, "instructions", config.instructions) +
                       determinants(config, "synthesis", config.synthesis);
    for (const synthesis::StrategyOptions& strategy : config.strategies)
        text += determinants(config, "strategy", strategy);
    return config.sweep.judge ? text + determinants(config, "judge", config.judge) : text;
}

/// Keys of `train` that the base model's evaluation reads: which pairs, their limits and beta.
std::string base_determinants(const Config& config) {
    preference::TrainOptions read;
    read.strategies = config.train.strategies;
    read.max_length = config.train.max_length;
    read.max_prompt_length = config.train.max_prompt_length;
    read.exclude_flags = config.train.exclude_flags;
    read.beta = config.train.beta;
    return lines(determining_keys(read, "train")) + model(config, config.train.model) +
           (config.train.reference.empty() ? "" : model(config, config.train.reference));
}

std::string run_determinants(const Config& config) {
    std::string text =
        fmt::format("run.seed={}\n", config.run.seed) + determinants(config, "train", config.train);
    if (std::ranges::find(config.sweep.evaluations, "win-rate") != config.sweep.evaluations.end())
        text += determinants(config, "evaluate", config.evaluate);
    for (const std::string& evaluation : config.sweep.evaluations)
        text += "evaluation " + evaluation + "\n";
    return text;
}

std::string determinants_of(campaign::SweepPart part, const Config& config) {
    switch (part) {
        case campaign::SweepPart::data:
            return data_determinants(config);
        case campaign::SweepPart::base:
            return base_determinants(config);
        case campaign::SweepPart::run:
            break;
    }
    return run_determinants(config);
}

/// A list item as YAML, on one line.
std::string one_line(const synthesis::StrategyOptions& strategy) {
    std::string text;
    for (const ConfigValue& key : config_values(strategy))
        text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", key.path, on_one_line(key.yaml));
    return "{" + text + "}";
}

/// Estimated work of making the pairs of a config.
struct DataEstimate {
    double answers = 0, flops = 0, prompt_tokens = 0;
    std::map<std::string, double> parameters;
};

DataEstimate estimate_data(const Config& config) {
    const synthesis::SynthesisInputs inputs{
        config.run, config.models, config.instructions, config.strategies, config.synthesis, "",
        "{}",       Logger()};
    const Json plan = Json::parse(synthesis::describe_synthesis(inputs));
    DataEstimate estimate;
    for (const Json& model : plan.at("models"))
        estimate.parameters[model.at("name").get<std::string>()] = model.value("parameters", 0.0);
    estimate.answers = plan.at("answers").get<double>();
    double shortest = 1e30;
    for (const Json& generation : plan.at("generations")) {
        const double prompts = generation.value("prompt_tokens", 0.0);
        estimate.flops += 2 * estimate.parameters[generation.value("model", "")] *
                          (prompts + generation.value("answer_tokens_at_most", 0.0));
        if (prompts > 0)
            shortest = std::min(shortest, prompts);
    }
    estimate.prompt_tokens = shortest / plan.at("instructions").get<double>();
    return estimate;
}

/// Returns the most tokens of a training run's pairs, both sides.
double estimate_run_tokens(const Config& config, const campaign::SweepUnit& run,
                           const DataEstimate& data) {
    const double all = static_cast<double>(config.instructions.limit);
    const double instructions = run.size > 0 && all > 0
                                    ? std::min(static_cast<double>(run.size), all)
                                    : std::max(static_cast<double>(run.size), all);
    const auto strategies =
        static_cast<double>(run.mix.strategies.empty() ? 1 : run.mix.strategies.size());
    const double pairs =
        instructions *
        (run.mix.proportions.empty() ? strategies * static_cast<double>(run.draws) : 1.0);
    return pairs * static_cast<double>(config.train.epochs) *
           (data.prompt_tokens + 2 * static_cast<double>(config.synthesis.max_new_tokens));
}

Json describe_unit(const campaign::SweepUnit& unit) {
    Json json{{"name", unit.name}};
    if (unit.part == campaign::SweepPart::run) {
        json["mix"] = unit.mix.name;
        json["designs"] = unit.mix.designs;
        json["instructions"] = unit.size;
        json["seed"] = unit.seed;
        json["factors"] = unit.factors;
        json["base"] = unit.base;
    }
    if (!unit.data.empty())
        json["data"] = unit.data;
    return json;
}

}  // namespace

Config Sweep::config_of(const campaign::SweepUnit& unit) const {
    std::vector<std::string> overrides = unit.overrides;
    overrides.push_back("run.directory=" + Json(directory(unit).native()).dump());
    if (!unit.data.empty())
        overrides.push_back("run.pairs=" + Json(pair_file(unit.data).native()).dump());
    return arguments.load(overrides);
}

Sweep load_sweep(const ConfigArguments& arguments) {
    Sweep sweep{arguments, arguments.load(), {}};
    const Config& config = sweep.config;
    const synthesis::GenerationPlan plan = synthesis::make_generation_plan(
        config.strategies,
        config.synthesis.share ? synthesis::Sharing::equal_once : synthesis::Sharing::none);
    std::vector<campaign::NamedStrategy> strategies;
    for (std::size_t s = 0; s < plan.strategies.size(); ++s)
        strategies.push_back({plan.strategies[s].name, one_line(config.strategies[s])});
    sweep.plan = campaign::make_sweep_plan(
        config.sweep, strategies,
        [&](campaign::SweepPart part, const std::vector<std::string>& overrides) {
            return determinants_of(part, arguments.load(overrides));
        });
    return sweep;
}

std::string describe_sweep(const Sweep& sweep) {
    const campaign::SweepPlan& plan = sweep.plan;
    Json json{{"runs", Json::array()},
              {"shared", {{"data", Json::array()}, {"base", Json::array()}}}};
    const auto hours = [&](double flops) {
        return flops / sweep.config.sweep.flops_per_core / 3600;
    };
    std::map<std::string, DataEstimate> estimates;
    double total = 0;
    for (const campaign::SweepUnit& unit : plan.data) {
        const Config config = sweep.config_of(unit);
        DataEstimate& estimate = estimates[unit.name] = estimate_data(config);
        Json entry = describe_unit(unit);
        entry["used_by"] = std::ranges::count(plan.runs, unit.name, &campaign::SweepUnit::data);
        entry["answers"] = estimate.answers;
        entry["core_hours_at_most"] = hours(estimate.flops);
        total += hours(estimate.flops);
        json["shared"]["data"].push_back(std::move(entry));
    }
    for (const campaign::SweepUnit& unit : plan.bases) {
        Json entry = describe_unit(unit);
        entry["used_by"] = std::ranges::count(plan.runs, unit.name, &campaign::SweepUnit::base);
        json["shared"]["base"].push_back(std::move(entry));
    }
    for (const campaign::SweepUnit& unit : plan.runs) {
        const Config config = sweep.config_of(unit);
        const DataEstimate& data = estimates.at(unit.data);
        const double tokens = estimate_run_tokens(config, unit, data);
        Json entry = describe_unit(unit);
        entry["tokens_at_most"] = tokens;
        const auto known = data.parameters.find(config.train.model);
        if (known != data.parameters.end()) {
            entry["core_hours_at_most"] = hours(6 * known->second * tokens);
            total += hours(6 * known->second * tokens);
        }
        json["runs"].push_back(std::move(entry));
    }
    json["count"] = {
        {"data", plan.data.size()}, {"base", plan.bases.size()}, {"runs", plan.runs.size()}};
    json["core_hours_at_most"] = total;
    json["estimate"] = fmt::format(
        "2 FLOP a parameter and token drawn or read, 6 trained on, answers at their limit, at "
        "{:.3g} "
        "FLOP/s a core (sweep.flops_per_core); evaluations and judging are not in it",
        sweep.config.sweep.flops_per_core);
    return json.dump(2);
}

}  // namespace popalign::app
