#include <popalign/base/error.hpp>
#include <popalign/base/random.hpp>
#include <popalign/store/rows/interchange.hpp>
#include <popalign/store/rows/messages.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace popalign::store {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Row = std::optional<ordered_json>;

/// The first of `names` that the row has, as text; empty if none.
std::string text_of(const json& row, std::initializer_list<const char*> names) {
    for (const char* name : names)
        if (const auto found = row.find(name); found != row.end() && !found->is_null())
            return found->is_string() ? found->get<std::string>() : found->dump();
    return "";
}

/// A dialogue that ends with what the user asks, as an instruction.
Instruction to_instruction(std::vector<Message> dialogue, const json& row) {
    if (dialogue.empty() || dialogue.back().role != Role::user)
        throw UsageError("the prompt does not end with the user's message");
    Instruction instruction;
    instruction.text = std::move(dialogue.back().content);
    if (instruction.text.find_first_not_of(" \t\r\n") == std::string::npos)
        throw UsageError("the prompt is empty");
    dialogue.pop_back();
    instruction.context = std::move(dialogue);
    instruction.id = text_of(row, {"id", "prompt_id"});
    instruction.source = text_of(row, {"source"});
    return instruction;
}

std::vector<Message> dialogue_of(const Instruction& instruction) {
    std::vector<Message> dialogue = instruction.context;
    dialogue.push_back({Role::user, instruction.text});
    return dialogue;
}

json with_answer(const Instruction& instruction, const std::string& answer) {
    std::vector<Message> dialogue = dialogue_of(instruction);
    dialogue.push_back({Role::assistant, answer});
    return messages_to_json(dialogue);
}

/// An answer: text, one message, or a list of one message.
std::string answer_of(const json& value) {
    if (value.is_string())
        return value.get<std::string>();
    const auto messages = messages_from_json(value.is_array() ? value : json::array({value}));
    if (messages.size() != 1 || messages.front().role != Role::assistant)
        throw UsageError("an answer is not one message of the assistant");
    return messages.front().content;
}

/// Takes the last turn, an answer, from a dialogue.
std::string take_answer(std::vector<Message>& dialogue) {
    if (dialogue.empty() || dialogue.back().role != Role::assistant)
        throw UsageError("a dialogue does not end with the assistant's answer");
    std::string answer = std::move(dialogue.back().content);
    dialogue.pop_back();
    return answer;
}

InterchangePair from_dialogues(std::vector<Message> chosen, std::vector<Message> rejected,
                               const json& row) {
    std::string good = take_answer(chosen), bad = take_answer(rejected);
    if (chosen != rejected)
        throw UsageError("the two dialogues differ before their last answers");
    return {to_instruction(std::move(chosen), row), std::move(good), std::move(bad)};
}

/// `prompt`, `chosen` and `rejected`, each a text or messages; without a prompt, or with both, the
/// answers are whole dialogues that begin alike.
InterchangePair read_prompted(const json& row) {
    const json &chosen = row.at("chosen"), &rejected = row.at("rejected");
    const bool whole = chosen.is_array() && chosen.size() > 1;
    if (whole || !row.contains("prompt"))
        return from_dialogues(messages_from_json(chosen), messages_from_json(rejected), row);
    const json& prompt = row.at("prompt");
    auto dialogue = prompt.is_string()
                        ? std::vector<Message>{{Role::user, prompt.get<std::string>()}}
                        : messages_from_json(prompt);
    return {to_instruction(std::move(dialogue), row), answer_of(chosen), answer_of(rejected)};
}

/// Members that all formats have room for.
void add_names(ordered_json& row, const Instruction& instruction) {
    if (!instruction.id.empty())
        row["id"] = instruction.id;
    if (!instruction.source.empty())
        row["source"] = instruction.source;
}

Row write_conversational(const InterchangePair& pair) {
    ordered_json row{{"prompt", messages_to_json(dialogue_of(pair.instruction))},
                     {"chosen", {{{"role", "assistant"}, {"content", pair.chosen}}}},
                     {"rejected", {{{"role", "assistant"}, {"content", pair.rejected}}}}};
    add_names(row, pair.instruction);
    return row;
}

Row write_standard(const InterchangePair& pair) {
    if (!pair.instruction.context.empty())
        return std::nullopt;
    ordered_json row{
        {"prompt", pair.instruction.text}, {"chosen", pair.chosen}, {"rejected", pair.rejected}};
    add_names(row, pair.instruction);
    return row;
}

Row write_dialogues(const InterchangePair& pair) {
    ordered_json row{{"chosen", with_answer(pair.instruction, pair.chosen)},
                     {"rejected", with_answer(pair.instruction, pair.rejected)}};
    add_names(row, pair.instruction);
    return row;
}

Row write_binarized(const InterchangePair& pair) {
    ordered_json row{{"prompt", pair.instruction.text},
                     {"prompt_id", pair.instruction.id},
                     {"chosen", with_answer(pair.instruction, pair.chosen)},
                     {"rejected", with_answer(pair.instruction, pair.rejected)},
                     {"messages", with_answer(pair.instruction, pair.chosen)}};
    if (!pair.instruction.source.empty())
        row["source"] = pair.instruction.source;
    return row;
}

/// Rounds of a question and its answer behind an optional system text.
struct Rounds {
    std::optional<std::string> system;
    std::vector<std::array<std::string, 2>> history;
};

std::optional<Rounds> rounds_of(const std::vector<Message>& context) {
    Rounds rounds;
    std::size_t next = 0;
    if (!context.empty() && context.front().role == Role::system)
        rounds.system = context[next++].content;
    for (; next + 1 < context.size(); next += 2) {
        if (context[next].role != Role::user || context[next + 1].role != Role::assistant)
            return std::nullopt;
        rounds.history.push_back({context[next].content, context[next + 1].content});
    }
    return next == context.size() ? std::optional(rounds) : std::nullopt;
}

InterchangePair read_alpaca(const json& row) {
    std::vector<Message> dialogue;
    if (const std::string system = text_of(row, {"system"}); !system.empty())
        dialogue.push_back({Role::system, system});
    if (const auto history = row.find("history"); history != row.end() && !history->is_null())
        for (const auto& round : *history) {
            dialogue.push_back({Role::user, round.at(0).get<std::string>()});
            dialogue.push_back({Role::assistant, round.at(1).get<std::string>()});
        }
    std::string query = row.at("instruction").get<std::string>();
    if (const std::string input = text_of(row, {"input"}); !input.empty())
        query += (query.empty() ? "" : "\n") + input;
    dialogue.push_back({Role::user, std::move(query)});
    return {to_instruction(std::move(dialogue), row), answer_of(row.at("chosen")),
            answer_of(row.at("rejected"))};
}

Row write_alpaca(const InterchangePair& pair) {
    const auto rounds = rounds_of(pair.instruction.context);
    if (!rounds || rounds->system == "")
        return std::nullopt;
    ordered_json row{{"instruction", pair.instruction.text},
                     {"input", ""},
                     {"chosen", pair.chosen},
                     {"rejected", pair.rejected}};
    if (rounds->system)
        row["system"] = *rounds->system;
    if (!rounds->history.empty())
        row["history"] = rounds->history;
    add_names(row, pair.instruction);
    return row;
}

InterchangePair read_sharegpt(const json& row) {
    auto dialogue = messages_from_json(row.at("conversations"));
    if (const std::string system = text_of(row, {"system"}); !system.empty())
        dialogue.insert(dialogue.begin(), {Role::system, system});
    return {to_instruction(std::move(dialogue), row), answer_of(row.at("chosen")),
            answer_of(row.at("rejected"))};
}

Row write_sharegpt(const InterchangePair& pair) {
    const auto rounds = rounds_of(pair.instruction.context);
    if (!rounds || rounds->system == "")
        return std::nullopt;
    const auto turn = [](const char* from, const std::string& value) {
        return ordered_json{{"from", from}, {"value", value}};
    };
    ordered_json row{{"conversations", ordered_json::array()}};
    for (const auto& [question, answer] : rounds->history) {
        row["conversations"].push_back(turn("human", question));
        row["conversations"].push_back(turn("gpt", answer));
    }
    row["conversations"].push_back(turn("human", pair.instruction.text));
    row["chosen"] = turn("gpt", pair.chosen);
    row["rejected"] = turn("gpt", pair.rejected);
    if (rounds->system)
        row["system"] = *rounds->system;
    add_names(row, pair.instruction);
    return row;
}

/// Among UltraFeedback's four completions the best one is chosen, and one of those that are worse,
/// by the instruction's hash, rejected, as ultrafeedback_binarized does at random.
InterchangePair read_ultrafeedback(const json& row) {
    const auto score = [](const json& completion) {
        for (const char* name : {"fine-grained_score", "overall_score"})
            if (const auto found = completion.find(name);
                found != completion.end() && found->is_number())
                return found->get<double>();
        throw UsageError("a completion has no fine-grained_score or overall_score");
    };
    const auto& completions = row.at("completions").get_ref<const json::array_t&>();
    if (completions.empty())
        throw UsageError("there are no completions");
    const json* best = &completions.front();
    for (const json& completion : completions)
        if (score(completion) > score(*best))
            best = &completion;
    std::vector<const json*> worse;
    for (const json& completion : completions)
        if (score(completion) < score(*best))
            worse.push_back(&completion);
    if (worse.empty())
        throw UsageError("no completion is worse than another");
    auto instruction =
        to_instruction({{Role::user, row.at("instruction").get<std::string>()}}, row);
    const json& rejected = *worse[stable_hash(instruction.text, 0) % worse.size()];
    return {std::move(instruction), best->at("response").get<std::string>(),
            rejected.at("response").get<std::string>()};
}

Row write_ultrafeedback(const InterchangePair& pair) {
    if (!pair.instruction.context.empty())
        return std::nullopt;
    ordered_json row{
        {"source", pair.instruction.source},
        {"instruction", pair.instruction.text},
        {"models", {"chosen", "rejected"}},
        {"completions",
         {{{"model", "chosen"}, {"response", pair.chosen}, {"overall_score", 1}},
          {{"model", "rejected"}, {"response", pair.rejected}, {"overall_score", 0}}}}};
    if (!pair.instruction.id.empty())
        row["id"] = pair.instruction.id;
    return row;
}

InterchangePair read_hh(const json& row) {
    return from_dialogues(messages_from_transcript(row.at("chosen").get<std::string>()),
                          messages_from_transcript(row.at("rejected").get<std::string>()), row);
}

Row write_hh(const InterchangePair& pair) {
    auto chosen = dialogue_of(pair.instruction), rejected = chosen;
    chosen.push_back({Role::assistant, pair.chosen});
    rejected.push_back({Role::assistant, pair.rejected});
    const auto good = messages_to_transcript(chosen), bad = messages_to_transcript(rejected);
    if (!good || !bad)
        return std::nullopt;
    ordered_json row{{"chosen", *good}, {"rejected", *bad}};
    add_names(row, pair.instruction);
    return row;
}

constexpr std::array<InterchangeFormat, 8> formats{{
    {"trl",
     "TRL, conversational {prompt: [messages], chosen: [message], rejected: [message]}; "
     "reads also standard and implicit prompts",
     read_prompted, write_conversational},
    {"trl-standard", "TRL, standard {prompt, chosen, rejected} of text", read_prompted,
     write_standard},
    {"openrlhf", "OpenRLHF {chosen: [messages], rejected: [messages]}; reads also {prompt, ...}",
     read_prompted, write_dialogues},
    {"llama-factory-alpaca",
     "LLaMA-Factory ranking {instruction, input, chosen, rejected, system?, history?}", read_alpaca,
     write_alpaca},
    {"llama-factory-sharegpt",
     "LLaMA-Factory ranking {conversations: [{from, value}], chosen, rejected, system?}",
     read_sharegpt, write_sharegpt},
    {"ultrafeedback", "UltraFeedback {instruction, completions: [{model, response, scores}]}",
     read_ultrafeedback, write_ultrafeedback},
    {"ultrafeedback-binarized", "{prompt, prompt_id, chosen: [messages], rejected: [messages]}",
     read_prompted, write_binarized},
    {"hh-rlhf", "HH-RLHF {chosen, rejected} of \"\\n\\nHuman: ...\\n\\nAssistant: ...\"", read_hh,
     write_hh},
}};

}  // namespace

std::span<const InterchangeFormat> interchange_formats() {
    return formats;
}

const InterchangeFormat& find_interchange_format(std::string_view name) {
    std::vector<std::string_view> names;
    for (const InterchangeFormat& format : formats) {
        if (format.name == name)
            return format;
        names.push_back(format.name);
    }
    throw UsageError(
        fmt::format("format '{}' is not known; use one of {}", name, fmt::join(names, ", ")));
}

}  // namespace popalign::store
