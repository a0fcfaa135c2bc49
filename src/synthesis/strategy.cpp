#include <popalign/base/embedded_text.hpp>
#include <popalign/base/error.hpp>
#include <popalign/synthesis/strategy.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace popalign::synthesis {

std::span<const EmbeddedText> builtin_strategies();

namespace {

bool holds(const std::string& text, std::string_view mark) {
    return text.find(mark) != std::string::npos;
}

template <class Texts>
bool any_holds(const Texts& turns, std::string_view mark) {
    return std::ranges::any_of(turns, [&](const Turn& turn) {
        return holds(turn.user, mark) || holds(turn.assistant_prefix, mark) ||
               holds(turn.earlier_prefix, mark);
    });
}

std::string replace_all(std::string text, std::string_view mark, std::string_view by) {
    for (std::size_t position = 0; (position = text.find(mark, position)) != std::string::npos;
         position += by.size())
        text.replace(position, mark.size(), by);
    return text;
}

std::string problem_of_turn(const Turn& turn) {
    if (turn.user.empty())
        return "a turn has an empty user message";
    if (turn.parse != "plain" && turn.parse != "thought_response")
        return "a turn's parse is not plain or thought_response";
    return "";
}

/// Returns the error in a side; empty if there is none.
std::string problem_of(const Side& side, const Contrast& contrast,
                       const StrategyTemplate& strategy) {
    if (side.model != "model" && side.model != "chosen" && side.model != "rejected")
        return fmt::format("a side's model is '{}'; use model, chosen or rejected", side.model);
    if (side.turns.empty())
        return "a side has no turns";
    for (const Turn& turn : side.turns)
        if (std::string problem = problem_of_turn(turn); !problem.empty())
            return problem;
    if (!any_holds(side.turns, "{instruction}"))
        return "a side never shows the {instruction}";
    if (any_holds(side.turns, "{demonstrations}") && strategy.demonstrations.empty())
        return "{demonstrations} stands for nothing; list `demonstrations`";
    if ((any_holds(side.turns, "{affix}") || any_holds(side.turns, "{opposite_affix}")) &&
        contrast.affixes.empty())
        return "{affix} stands for nothing; list `affixes`";
    if (side.shots < 0 || side.shots > static_cast<std::int64_t>(strategy.demonstrations.size()))
        return fmt::format("shots {} with {} demonstrations", side.shots,
                           strategy.demonstrations.size());
    if (side.sample != 0 && side.sample != 1)
        return "a side's sample is not 0 or 1";
    return "";
}

}  // namespace

void StrategyTemplate::validate() const {
    const auto fail = [&](const std::string& problem) {
        throw UsageError(fmt::format("strategy '{}': {}", name, problem));
    };
    if (level != "prompt" && level != "model" && level != "pipeline")
        fail(fmt::format("level '{}' is not prompt, model or pipeline", level));
    if (variants.empty())
        fail("has no variants");
    for (const Demonstration& shown : demonstrations)
        for (const std::string* text : {&shown.question, &shown.chosen, &shown.rejected})
            for (const char* mark : {"{instruction}", "{affix}", "{opposite_affix}", "{answer}"})
                if (holds(*text, mark))
                    fail(fmt::format("a demonstration holds the mark {}", mark));
    for (const auto& [variant, contrast] : variants)
        for (const Side* side : {&contrast.chosen, &contrast.rejected})
            if (const std::string problem = problem_of(*side, contrast, *this); !problem.empty())
                fail(fmt::format("variant '{}': {}", variant, problem));
}

std::vector<Turn> StrategyTemplate::turns(const Contrast& contrast, PairSide side,
                                          std::int64_t shots) const {
    const Side& description = side == PairSide::chosen ? contrast.chosen : contrast.rejected;
    const auto count = static_cast<std::int64_t>(demonstrations.size());
    if (shots == 0)
        shots = description.shots == 0 ? count : description.shots;
    if (shots > count)
        throw UsageError(fmt::format("strategy '{}': shots {} with {} demonstrations; lower it",
                                     name, shots, count));
    std::string shown;
    for (std::int64_t i = 0; i < shots; ++i) {
        const Demonstration& one = demonstrations[static_cast<std::size_t>(i)];
        shown += replace_all(replace_all(demonstration, "{question}", one.question), "{answer}",
                             side == PairSide::chosen ? one.chosen : one.rejected);
    }
    std::vector<Turn> turns = description.turns;
    for (Turn& turn : turns)
        for (std::string* text : {&turn.user, &turn.assistant_prefix, &turn.earlier_prefix})
            *text = replace_all(*text, "{demonstrations}", shown);
    return turns;
}

void StrategyOptions::validate() const {
    if (draws < 1 || shots < 0 || quota < 0 || !(share > 0 && share <= 1))
        throw UsageError(fmt::format(
            "strategy '{}': draws must be at least 1, shots and quota at least 0, and share above "
            "0 and at most 1",
            name));
    if (quota > 0 && share < 1)
        throw UsageError(fmt::format("strategy '{}': give share or quota, not both", name));
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
    options.validate();
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

}  // namespace popalign::synthesis
