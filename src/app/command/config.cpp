#include "app/command/config.hpp"

#include <popalign/base/config_reference.hpp>
#include <popalign/base/enum_names.hpp>
#include <popalign/base/error.hpp>

#include <CLI/CLI.hpp>
#include <fmt/ranges.h>

namespace popalign::app {

void ConfigArguments::add_to(CLI::App& parser) {
    parser.add_option("--config", file, "YAML file of the run")->type_name("FILE");
    parser.add_option("--set", overrides, "replace one value of the config")
        ->type_name("KEY.PATH=VALUE")
        ->allow_extra_args(false);
    parser.add_flag("--print-config", print, "print the effective config and leave");
}

Config ConfigArguments::load(const std::vector<std::string>& more) const {
    ConfigNode root = file.empty() ? parse_config("", "(no --config)") : load_config(file);
    for (const std::string& assignment : overrides)
        apply_override(root, assignment);
    for (const std::string& assignment : more)
        apply_override(root, assignment);
    Config config;
    read_config(root, config);
    return config;
}

const lm::ModelOptions& find_model(const Config& config, const std::string& name) {
    const auto found = config.models.find(name);
    if (found == config.models.end())
        throw UsageError(
            fmt::format("the model '{}' is not among `models` of the config; add it there", name));
    return found->second;
}

lm::ModelOptions model_or_path(const Config& config, const std::string& name) {
    const auto found = config.models.find(name);
    if (found != config.models.end())
        return found->second;
    lm::ModelOptions options;
    options.path = name;
    return options;
}

std::string config_reference() {
    ConfigDocumenter documenter("");
    Config config;
    config.visit(documenter);
    std::string text = "| key | default | effect | what it is for |\n|---|---|---|---|\n";
    for (const ConfigEntry& entry : documenter.entries())
        text += fmt::format("| `{}` | {} | {} | {} |\n", entry.path,
                            entry.value.empty() ? "" : "`" + entry.value + "`",
                            entry.effect ? name_of(*entry.effect) : "", entry.documentation);
    return text;
}

}  // namespace popalign::app
