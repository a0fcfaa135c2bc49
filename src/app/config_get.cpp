#include "app/command/with_config.hpp"

#include <popalign/base/config_values.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace popalign::app {
namespace {

/// A text without YAML's quotes, a section as YAML, anything else on one line.
std::string printed(const ConfigValue& value) {
    const std::string line = on_one_line(value.yaml);
    if (!value.bare.empty() || line == "\"\"")
        return value.bare + "\n";
    return value.section ? value.yaml.substr(value.yaml.starts_with('\n') ? 1 : 0) : line + "\n";
}

std::string printed_value(const Config& config, const std::string& key) {
    for (const ConfigValue& value : config_values(config))
        if (value.path == key)
            return printed(value);
    throw UsageError(
        fmt::format("config get: no key '{}'; popalign --config-reference lists them all", key));
}

}  // namespace

Command make_config_get_command(CLI::App& group) {
    struct Arguments {
        ConfigArguments config;
        std::string key;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = group.add_subcommand("get", "print a key's effective value, for scripts");
    parser->add_option("key", arguments->key, "path of the key, e.g. run.directory")->required();
    arguments->config.add_to(*parser);
    return {parser, [arguments](const CommandContext& context) {
                return with_config(context, arguments->config, [&](const Config& config) {
                    comm::run_on_all(context.comm, [&] {
                        const std::string text = printed_value(config, arguments->key);
                        if (context.comm.is_root())
                            std::fputs(text.c_str(), stdout);
                    });
                    return ExitStatus::done;
                });
            }};
}

}  // namespace popalign::app
