#include <popalign/base/embedded_text.hpp>
#include <popalign/base/error.hpp>
#include <popalign/synthesis/strategy.hpp>

#include <fmt/format.h>

namespace popalign {

std::span<const EmbeddedText> builtin_strategies();

void StrategyTemplate::validate() const {
    for (const auto& [variant, contrast] : variants)
        for (const Side* side : {&contrast.chosen, &contrast.rejected}) {
            if (side->turns.empty())
                throw UsageError(
                    fmt::format("strategy '{}', variant '{}': a side has no turns", name, variant));
            for (const Turn& turn : side->turns)
                if (turn.user.empty() ||
                    (turn.parse != "plain" && turn.parse != "thought_response"))
                    throw UsageError(fmt::format(
                        "strategy '{}', variant '{}': a turn has an empty user message or a parse "
                        "other than plain and thought_response",
                        name, variant));
        }
}

const std::string& StrategyOptions::model_for(const std::string& key) const {
    const std::string* value = key == "model"      ? &model
                               : key == "chosen"   ? &chosen
                               : key == "rejected" ? &rejected
                                                   : nullptr;
    if (value == nullptr)
        throw UsageError(
            fmt::format("strategy '{}': its template names the model '{}'; use model, "
                        "chosen or rejected",
                        name, key));
    if (value->empty())
        throw UsageError(
            fmt::format("strategy '{}' does not say which model is its '{}'; add "
                        "`{}: <name under models>`",
                        name, key, key));
    return *value;
}

StrategyTemplate load_strategy(const StrategyOptions& options) {
    StrategyTemplate strategy;
    if (!options.file.empty()) {
        read_config(load_config(options.file), strategy);
    } else {
        std::string known;
        for (const auto& [name, text] : builtin_strategies()) {
            known += fmt::format(" {}", name);
            if (name == options.name)
                read_config(parse_config(std::string(text), fmt::format("{}.yaml", name)),
                            strategy);
        }
        if (strategy.name.empty())
            throw UsageError(fmt::format(
                "strategies: '{}' is not built in (known:{}); give its template as `file`",
                options.name, known));
    }
    strategy.validate();
    if (!strategy.variants.contains(options.variant))
        throw UsageError(fmt::format("strategy '{}' has no variant '{}'; choose another",
                                     options.name, options.variant));
    return strategy;
}

}  // namespace popalign
