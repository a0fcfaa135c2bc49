#include "app/sweep/sweep_config.hpp"
#include "preference/model/finished_model.hpp"
#include "support/temporary_directory.hpp"
#include "synthesis/fingerprint.hpp"
#include "synthesis/setup.hpp"

#include <popalign/base/config_reference.hpp>
#include <popalign/base/config_values.hpp>
#include <popalign/base/file.hpp>
#include <popalign/preference/options/train_inputs.hpp>

#include <gtest/gtest.h>

#include <set>

namespace popalign::app {
namespace {

/// At least one entry of every list and mapping that has keys of its own.
constexpr const char* base_config = R"(
models:
  teacher: {path: /models/teacher}
  student: {path: /models/student}
instructions: {path: instructions.jsonl}
strategies:
- {name: demonstration, model: teacher}
- {name: demonstration, model: student}
train: {objective: ppo}
sweep:
  mixes: [all, lattice]
  controls: [{strategy: demonstration}]
  factors: [{key: train.beta, values: [0.1]}]
  evaluations: [preference, win-rate]
)";

/// Values for keys that do not take any.
const std::map<std::string, std::string> fitting_values{
    {"strategies.0.name", "elicitive"},
    {"strategies.0.variant", "leaderboard"},
    {"strategies.0.file", "configs/strategies/elicitive.yaml"},
    {"strategies.1.name", "elicitive"},
    {"strategies.1.variant", "leaderboard"},
    {"strategies.1.file", "configs/strategies/elicitive.yaml"},
    {"sweep.mixes", "[single]"},
    {"sweep.controls.0.strategy", "demonstration-2"},
    {"sweep.factors.0.key", "train.alpha"},
    {"sweep.factors.0.values", "[0.2]"},
    {"sweep.evaluations", "[preference]"}};

template <class T>
T other(T value) {
    if constexpr (std::is_same_v<T, bool>)
        return !value;
    else if constexpr (std::is_floating_point_v<T>)
        return value == 0 ? 0.5 : value / 2;
    else if constexpr (std::is_integral_v<T>)
        return value + 1;
    else
        return value + "other";
}
template <NamedEnum T>
T other(T value) {
    const auto choices = names_of(T{});
    return choices.front().value == value ? choices.back().value : choices.front().value;
}
template <class T>
std::vector<T> other(std::vector<T> values) {
    values.push_back(other(T{}));
    return values;
}
template <class Key, class T, class Order>
std::map<Key, T, Order> other(std::map<Key, T, Order> values) {
    values[other(Key{})] = other(T{});
    return values;
}

/// Every key with another value than it has, as --set takes it.
class OtherValues {
  public:
    explicit OtherValues(std::string path) : path_(std::move(path)) {}

    template <class T>
    void field(std::string_view name, T& value, std::string_view, KeyTraits = {}) {
        add(config_detail::join(path_, name), value);
    }
    const std::map<std::string, std::string>& values() const { return values_; }

  private:
    template <class T>
    void add(const std::string& path, T& value) {
        if constexpr (Configurable<T>) {
            OtherValues inner(path);
            value.visit(inner);
            values_.insert(inner.values_.begin(), inner.values_.end());
        } else if constexpr (config_detail::holds_sections<T>() && config_detail::Shape<T>::list) {
            for (std::size_t i = 0; i < value.size(); ++i)
                add(config_detail::join(path, std::to_string(i)), value[i]);
        } else if constexpr (config_detail::holds_sections<T>()) {
            for (auto& [key, item] : value)
                add(config_detail::join(path, key), item);
        } else {
            values_.emplace(path, as_assigned(other(value)));
        }
    }
    /// On one line; print_config gives a table lines of its own.
    template <class U>
    static std::string as_assigned(const U& value) {
        if constexpr (config_detail::Shape<U>::table) {
            std::string text;
            for (const auto& [key, item] : value)
                text += (text.empty() ? "" : ", ") + print_config(key) + ": " + print_config(item);
            return "{" + on_one_line(text) + "}";
        } else {
            return print_config(value);
        }
    }

    std::string path_;
    std::map<std::string, std::string> values_;
};

class ConfigEffect : public testing::Test {
  protected:
    ConfigEffect() {
        std::filesystem::current_path(std::getenv("POPALIGN_SOURCE_DIR"));
        write_text_file(file_, base_config);
    }

    /// The config with one key set to `value`.
    ConfigArguments arguments(const std::string& key, const std::string& value) const {
        return {file_.native(), {key + "=" + value}, false};
    }
    std::map<std::string, std::string> other_values() {
        Config config = ConfigArguments{file_.native(), {}, false}.load();
        OtherValues values("");
        config.visit(values);
        auto result = values.values();
        for (const auto& [key, value] : fitting_values)
            result.at(key) = value;
        return result;
    }

    test::TemporaryDirectory directory_;
    std::filesystem::path file_ = directory_.path() / "config.yaml";
    ConfigArguments unchanged_{file_.native(), {}, false};
};

std::set<std::string> names_of_parts(const ConfigArguments& arguments) {
    const Sweep sweep = load_sweep(arguments);
    std::set<std::string> names;
    for (const auto* units : {&sweep.plan.data, &sweep.plan.bases, &sweep.plan.runs})
        for (const campaign::SweepUnit& unit : *units)
            names.insert(unit.name);
    return names;
}

Fingerprint training_fingerprint(const ConfigArguments& arguments) {
    const Config config = arguments.load();
    preference::TrainInputs inputs;
    inputs.options = config.train;
    inputs.seed = config.run.seed;
    inputs.model = config.models.at("student");
    return preference::options_fingerprint(inputs, {});
}

Fingerprint synthesis_fingerprint(const ConfigArguments& arguments) {
    const Config config = arguments.load();
    const synthesis::SynthesisInputs inputs{
        config.run, config.models, config.instructions, config.strategies, config.synthesis, "",
        "{}",       Logger()};
    synthesis::SynthesisSetup setup;
    setup.plan = synthesis::make_generation_plan(
        config.strategies,
        config.synthesis.share ? synthesis::Sharing::equal_once : synthesis::Sharing::none);
    for (const std::string& name : setup.plan.models())
        setup.models[name];
    setup.answers = synthesis::answers_fingerprint(inputs, setup);
    return synthesis::pair_file_fingerprint(inputs, setup);
}

TEST_F(ConfigEffect, EveryDocumentedKeyIsWalked) {
    const auto values = other_values();
    ConfigDocumenter documenter("");
    Config config;
    config.visit(documenter);
    std::size_t keys = 0;
    for (const ConfigEntry& entry : documenter.entries()) {
        if (!entry.effect)
            continue;
        std::string path = entry.path;
        for (const auto& [mark, item] : {std::pair{"[]", ".0"}, {".<name>", ".teacher"}})
            if (const auto at = path.find(mark); at != std::string::npos)
                path.replace(at, std::string_view(mark).size(), item);
        EXPECT_TRUE(values.contains(path)) << path;
        ++keys;
    }
    EXPECT_GT(keys, 150U);
}

TEST_F(ConfigEffect, SweepPartsAreNamedByAllKeysButThoseOfSpeed) {
    // A sweep sets these for each of its runs, whatever the config says: train.beta is its factor.
    const std::set<std::string> own{"run.pairs", "train.beta", "train.proportions",
                                    "train.limit_instructions"};
    const auto before = names_of_parts(unchanged_);
    const auto values = other_values();
    for (const ConfigValue& key : config_values(unchanged_.load())) {
        if (key.section)
            continue;
        const bool same = names_of_parts(arguments(key.path, values.at(key.path))) == before;
        EXPECT_EQ(same, key.effect == Effect::speed || own.contains(key.path))
            << key.path << " has the effect " << name_of(key.effect);
    }
}

TEST_F(ConfigEffect, TrainingGoesOnUnlessAKeyOfTheResultChanges) {
    const Fingerprint before = training_fingerprint(unchanged_);
    const auto values = other_values();
    for (const ConfigValue& key : config_values(unchanged_.load().train, "train")) {
        if (key.section)
            continue;
        const auto now = training_fingerprint(arguments(key.path, values.at(key.path)));
        EXPECT_EQ(now == before, key.effect != Effect::result) << key.path;
    }
}

TEST_F(ConfigEffect, KeysOfPpoDoNotMatterToOtherObjectives) {
    EXPECT_EQ(training_fingerprint({file_, {"train.objective=dpo"}, false}),
              training_fingerprint({file_, {"train.objective=dpo", "train.ppo.gamma=0.5"}, false}));
}

TEST_F(ConfigEffect, SynthesisGoesOnUnlessAKeyOfTheResultChanges) {
    const Fingerprint before = synthesis_fingerprint(unchanged_);
    const auto values = other_values();
    const Config config = unchanged_.load();
    auto keys = config_values(config.synthesis, "synthesis");
    for (const auto& [name, model] : config.models)
        for (ConfigValue& key : config_values(model, "models." + name))
            keys.push_back(std::move(key));
    for (const ConfigValue& key : keys) {
        if (key.section)
            continue;
        const auto now = synthesis_fingerprint(arguments(key.path, values.at(key.path)));
        EXPECT_EQ(now == before, key.effect != Effect::result) << key.path;
    }
}

TEST_F(ConfigEffect, TheBatchIsPartOfADeterministicResult) {
    const auto with_batch = [&](const char* deterministic, const char* size) {
        return synthesis_fingerprint({file_,
                                      {std::string("synthesis.deterministic=") + deterministic,
                                       std::string("synthesis.batch_size=") + size},
                                      false});
    };
    EXPECT_EQ(with_batch("false", "8"), with_batch("false", "16"));
    EXPECT_NE(with_batch("true", "8"), with_batch("true", "16"));
}

TEST_F(ConfigEffect, EvaluationSetsAreInThePairFileAlone) {
    EXPECT_NE(synthesis_fingerprint(unchanged_),
              synthesis_fingerprint(arguments("instructions.evaluation_sets", "[bench.jsonl]")));
}

}  // namespace
}  // namespace popalign::app
