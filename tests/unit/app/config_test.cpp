#include "app/command/config.hpp"

#include <popalign/base/error.hpp>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>
#include <support/temporary_directory.hpp>

#include <fstream>

namespace popalign::app {
namespace {

constexpr const char* text =
    "run: {name: x, seed: 3}\n"
    "models:\n"
    "  teacher: {path: a.gguf}\n"
    "instructions: {path: i.jsonl}\n"
    "train: {beta: 0.2}\n";

/// A command line that names a config file of `content`.
class CommandLine {
  public:
    explicit CommandLine(const std::string& content = text) {
        std::ofstream(file()) << content;
        arguments_.add_to(parser_);
    }
    std::string file() const { return (directory_ / "run.yaml").native(); }
    ConfigArguments parse(std::vector<std::string> words) {
        words.insert(words.begin(), {"--config", file()});
        std::ranges::reverse(words);  // as CLI11 takes them
        parser_.parse(words);
        return arguments_;
    }
    std::string error_of(const std::vector<std::string>& words) {
        try {
            parse(words).load();
        } catch (const UsageError& error) {
            return error.what();
        }
        return "no error";
    }

  private:
    test::TemporaryDirectory directory_;
    CLI::App parser_;
    ConfigArguments arguments_;
};

TEST(ConfigArguments, OverridesReplaceTheFilesValuesInTheirOrder) {
    CommandLine line;
    const ConfigArguments arguments =
        line.parse({"--set", "train.beta=0.5", "--set", "run.seed=7", "--set", "run.seed=8"});
    const Config config = arguments.load();
    EXPECT_EQ(config.run.seed, 8U);
    EXPECT_EQ(config.train.beta, 0.5);
    EXPECT_EQ(config.run.name, "x");
    EXPECT_EQ(arguments.load({"run.seed=9"}).run.seed, 9U);
    EXPECT_FALSE(arguments.print);
}

TEST(ConfigArguments, AnOverrideTakesOneWord) {
    EXPECT_THROW(CommandLine().parse({"--set", "run.seed=7", "run.seed=8"}), CLI::ParseError);
    EXPECT_THROW(CommandLine().parse({"--set"}), CLI::ParseError);
    EXPECT_TRUE(CommandLine().parse({"--print-config"}).print);
}

TEST(ConfigArguments, OverridesReachListsAndMaps) {
    const Config config = CommandLine()
                              .parse({"--set", "models.rival.path=b.gguf", "--set",
                                      "strategies=[{name: prefix, model: teacher}]", "--set",
                                      "strategies.0.model=rival"})
                              .load();
    EXPECT_EQ(config.models.size(), 2U);
    EXPECT_EQ(config.models.at("rival").path, "b.gguf");
    ASSERT_EQ(config.strategies.size(), 1U);
    EXPECT_EQ(config.strategies.front().model, "rival");
}

TEST(ConfigArguments, ErrorsNameTheFileAndTheLine) {
    CommandLine line("run: {name: x}\ntrain:\n  betta: 1\n");
    const std::string error = line.error_of({"--set", "instructions.path=i.jsonl"});
    EXPECT_TRUE(error.starts_with(line.file() + ":3: unknown key 'train.betta'")) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos);
    CommandLine wrong("run:\n  seed: many\n");
    EXPECT_TRUE(wrong.error_of({}).starts_with(wrong.file() + ":2: run.seed: 'many'"))
        << wrong.error_of({});
}

TEST(ConfigArguments, ErrorsOfAnOverrideNameTheOverride) {
    for (const auto& [assignment, problem] : std::map<std::string, std::string>{
             {"train.bta=1", "unknown key 'train.bta'"},
             {"train.beta=much", "train.beta: 'much' is not"},
             {"train", "not of the form key.path=value"},
             {"=1", "not of the form key.path=value"},
             {"run.name.first=x", "lies below a plain value"},
             {"strategies.4.name=x", "a mapping is given where a list is expected"},
             {"train=[1]", "a list is given where a mapping is expected"}}) {
        const std::string error = CommandLine().error_of({"--set", assignment});
        EXPECT_NE(error.find("--set"), std::string::npos) << assignment << ": " << error;
        EXPECT_NE(error.find(problem), std::string::npos) << assignment << ": " << error;
        EXPECT_EQ(error.find('\n'), std::string::npos) << assignment;
    }
}

TEST(ConfigArguments, AMissingFileIsWrongUse) {
    ConfigArguments arguments;
    arguments.file = "/nowhere/run.yaml";
    EXPECT_THROW(arguments.load(), InputError);
}

TEST(ConfigModels, AreFoundByNameOrTakenForPaths) {
    const Config config = CommandLine().parse({}).load();
    EXPECT_EQ(find_model(config, "teacher").path, "a.gguf");
    EXPECT_EQ(model_or_path(config, "teacher").path, "a.gguf");
    EXPECT_EQ(model_or_path(config, "runs/x/model").path, "runs/x/model");
    try {
        find_model(config, "nobody");
        FAIL();
    } catch (const UsageError& error) {
        EXPECT_NE(std::string(error.what()).find("'nobody' is not among `models`"),
                  std::string::npos);
    }
}

}  // namespace
}  // namespace popalign::app
