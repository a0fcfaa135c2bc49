#include "app/command/command.hpp"
#include "app/command/model_arguments.hpp"

#include <popalign/comm/run.hpp>
#include <popalign/lm/text/tokenizer.hpp>
#include <popalign/store/rows/messages.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <iostream>
#include <memory>

namespace popalign::app {
namespace {

enum class Direction { encode, decode, chat };

struct Arguments {
    std::string model, chat_template;
    bool decode = false, chat = false;

    Direction direction() const {
        if (decode && chat)
            throw UsageError("--decode and --chat exclude each other");
        return decode ? Direction::decode : chat ? Direction::chat : Direction::encode;
    }
};

nlohmann::json convert(const nlohmann::json& value, const lm::ModelFrontEnd& front_end,
                       const Arguments& arguments) {
    switch (arguments.direction()) {
        case Direction::decode:
            return front_end.tokenizer.decode(value.get<std::vector<TokenId>>());
        case Direction::chat:
            return lm::encode_pieces(front_end.tokenizer,
                                     front_end.require_chat(arguments.model)
                                         .render_prompt(store::messages_from_json(value)));
        case Direction::encode:
            break;
    }
    return front_end.tokenizer.encode(value.get<std::string>());
}

void convert_lines(const Arguments& arguments) {
    const lm::ModelFrontEnd front_end =
        lm::load_front_end(arguments.model, arguments.chat_template);
    std::string line;
    for (std::size_t number = 1; std::getline(std::cin, line); ++number) {
        try {
            std::cout << convert(nlohmann::json::parse(line), front_end, arguments)
                             .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                      << '\n';
        } catch (const nlohmann::json::exception& error) {
            throw InputError("(standard input)", number,
                             fmt::format("not the expected JSON ({})", error.what()));
        }
    }
    std::cout.flush();
}

}  // namespace

Command make_tokenize_command(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* parser = app.add_subcommand(
        "tokenize", "JSON strings on stdin, one a line -> JSON arrays of token ids");
    parser->add_option("--model", arguments->model, "HF directory or GGUF file")->required();
    parser->add_option("--chat-template", arguments->chat_template, "instead of the model's own");
    parser->add_flag("--decode", arguments->decode, "arrays of ids -> strings");
    parser->add_flag("--chat", arguments->chat,
                     "lists of messages: render the chat template first");
    return {parser, [arguments](const CommandContext& context) {
                comm::run_on_all(context.comm, [&] {
                    if (context.comm.is_root())
                        convert_lines(*arguments);
                });
                return ExitStatus::done;
            }};
}

}  // namespace popalign::app
