#include "app/command_line.hpp"

#include <popalign/comm/run.hpp>
#include <popalign/evaluation/benchmark_table.hpp>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>
#include <support/world.hpp>

#include <set>

namespace popalign::app {
namespace {

using test::world;

struct CommandTable {
    CLI::App app{"", "popalign"};
    std::vector<Command> commands = add_commands(app);
};

/// The command as it is typed, without the program.
std::vector<std::string> words_of(const CLI::App& parser) {
    std::vector<std::string> words;
    for (const CLI::App* app = &parser; app->get_parent() != nullptr; app = app->get_parent())
        words.insert(words.begin(), app->get_name());
    return words;
}

ExitStatus run(const std::vector<std::string>& words) {
    std::vector<const char*> argv{"popalign"};
    for (const std::string& word : words)
        argv.push_back(word.c_str());
    return run_command_line(world(), static_cast<int>(argv.size()), argv.data());
}

/// Expects that all ranks refuse the line, in one line that holds `problem`.
void expect_refused(const std::vector<std::string>& words, const std::string& problem) {
    const std::string line = fmt::format("{}", fmt::join(words, " "));
    try {
        run(words);
        ADD_FAILURE() << line << ": taken";
    } catch (const comm::AgreedError& error) {
        EXPECT_EQ(error.status(), ExitStatus::wrong_use) << line;
        const std::string message = error.what();
        EXPECT_EQ(message.find('\n'), std::string::npos) << line << ": " << message;
        EXPECT_NE(message.find("command line: "), std::string::npos) << line << ": " << message;
        EXPECT_NE(message.find(problem), std::string::npos) << line << ": " << message;
    }
}

TEST(CommandLine, EveryCommandHasANameOfItsOwnAndHelp) {
    const CommandTable table;
    std::set<std::vector<std::string>> names;
    for (const Command& command : table.commands) {
        const auto words = words_of(*command.parser);
        EXPECT_TRUE(names.insert(words).second) << fmt::format("{}", words);
        EXPECT_FALSE(command.parser->get_description().empty()) << fmt::format("{}", words);
        EXPECT_TRUE(command.run) << fmt::format("{}", words);
    }
    EXPECT_TRUE(names.contains({"synthesize"}));
    EXPECT_TRUE(names.contains({"bench", "store"}));
    for (const evaluation::BenchmarkRow& row : evaluation::benchmark_table())
        EXPECT_TRUE(names.contains({"evaluate", std::string(row.name)})) << row.name;
}

TEST(CommandLine, EveryCommandPrintsItsHelp) {
    const CommandTable table;
    for (const Command& command : table.commands) {
        auto words = words_of(*command.parser);
        const std::string usage = fmt::format("popalign {} [OPTIONS]", fmt::join(words, " "));
        words.push_back("--help");
        testing::internal::CaptureStdout();
        const ExitStatus status = run(words);
        const std::string printed = testing::internal::GetCapturedStdout();
        EXPECT_EQ(status, ExitStatus::done) << usage;
        EXPECT_EQ(printed.find(usage) != std::string::npos, world().is_root()) << printed;
    }
}

TEST(CommandLine, EveryCommandRefusesAnUnknownOption) {
    const CommandTable table;
    for (const Command& command : table.commands) {
        auto words = words_of(*command.parser);
        // Options that must be given are asked for first.
        for (const CLI::Option* option : command.parser->get_options())
            if (option->get_required())
                words.insert(words.end(), {option->get_name(), "x"});
        if (words.front() == "sweep")
            words.push_back("--plan");
        words.push_back("--no-such-option");
        expect_refused(words, "--no-such-option");
    }
}

TEST(CommandLine, WhatIsNoCommandIsRefused) {
    expect_refused({}, "subcommand is required");
    expect_refused({"synthesise"}, "synthesise");
    expect_refused({"evaluate"}, "subcommand is required");
    expect_refused({"evaluate", "no-such-benchmark"}, "no-such-benchmark");
    expect_refused({"generate", "--model", "m"}, "is required");
    expect_refused({"sweep"}, "required");
    expect_refused({"sweep", "--plan", "--collect"}, "");
    expect_refused({"evaluate", "arena-hard", "--baseline", "x"}, "--battles");
    expect_refused({"generate", "--model", "m", "--input", "i", "--output", "o", "--top-k", "few"},
                   "few");
}

}  // namespace
}  // namespace popalign::app
