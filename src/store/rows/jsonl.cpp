#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/store/rows/jsonl.hpp>
#include <popalign/store/rows/messages.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <unordered_set>

namespace popalign::store {
namespace {

/// The library's text without its own prefix and place (its line is always 1).
std::string_view reason_of(const nlohmann::json::exception& error) {
    std::string_view reason = error.what();
    for (const std::string_view prefix : {"] ", "parse error at line 1, "})
        if (const auto at = reason.find(prefix); at != std::string_view::npos)
            reason.remove_prefix(at + prefix.size());
    return reason;
}

/// The first of `names` that the row has.
const nlohmann::json* member(const nlohmann::json& row, std::initializer_list<const char*> names) {
    for (const char* name : names)
        if (const auto found = row.find(name); found != row.end() && !found->is_null())
            return &*found;
    return nullptr;
}

/// `messages` (TRL: `prompt`), or HH-RLHF's dialogue without its last answer.
std::vector<Message> read_dialogue(const nlohmann::json& row, const std::filesystem::path& path,
                                   std::size_t line) {
    if (const auto* messages = member(row, {"messages", "prompt"}))
        return messages_from_json(*messages);
    const auto* chosen = member(row, {"chosen"});
    if (chosen == nullptr || !chosen->is_string())
        throw InputError(path.native(), line,
                         "no `instruction` (or `prompt`, `text`, `messages`, or `chosen` of "
                         "HH-RLHF)");
    auto dialogue = messages_from_transcript(chosen->get_ref<const std::string&>());
    if (dialogue.back().role == Role::assistant)
        dialogue.pop_back();
    return dialogue;
}

/// The text, or the dialogue that ends with the user's message.
Instruction read_question(const nlohmann::json& row, const std::filesystem::path& path,
                          std::size_t line) {
    Instruction instruction;
    if (const auto* text = member(row, {"instruction", "prompt", "text"});
        text != nullptr && !text->is_array()) {
        instruction.text = text->get<std::string>();
        return instruction;
    }
    instruction.context = read_dialogue(row, path, line);
    if (instruction.context.empty() || instruction.context.back().role != Role::user)
        throw InputError(path.native(), line, "the dialogue does not end with the user's message");
    instruction.text = std::move(instruction.context.back().content);
    instruction.context.pop_back();
    return instruction;
}

std::string id_of(const nlohmann::json* id, const std::filesystem::path& path, std::size_t line) {
    if (id == nullptr)
        return fmt::format("{}-{}", path.stem().native(), line);
    if (id->is_number_integer())
        return id->dump();
    return id->get<std::string>();
}

}  // namespace

void read_jsonl(const std::filesystem::path& path,
                const std::function<void(std::size_t, const nlohmann::json&)>& visit) {
    if (!std::filesystem::is_regular_file(path))
        throw InputError(path.native(), "no such file; give the path of a JSON Lines file");
    const MappedFile file(path);
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                                file.bytes().size());
    std::size_t number = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const std::string_view line = text.substr(begin, end - begin);
        begin = end + 1;
        ++number;
        if (line.find_first_not_of(" \t\r") == std::string_view::npos)
            continue;
        try {
            visit(number, nlohmann::json::parse(line));
        } catch (const nlohmann::json::parse_error& error) {
            throw InputError(
                path.native(), number,
                fmt::format("not JSON ({}); correct or remove the line", reason_of(error)));
        } catch (const nlohmann::json::exception& error) {
            throw InputError(path.native(), number,
                             fmt::format("a value is missing or of the wrong type ({}); correct or "
                                         "remove the line",
                                         reason_of(error)));
        } catch (const InputError&) {
            throw;
        } catch (const UsageError& error) {
            throw InputError(path.native(), number, error.what());
        }
    }
}

std::vector<Instruction> read_instructions(const std::filesystem::path& path) {
    std::vector<Instruction> instructions;
    std::unordered_set<std::string> ids;
    read_jsonl(path, [&](std::size_t line, const nlohmann::json& row) {
        if (!row.is_object())
            throw InputError(path.native(), line, "not an object; give {\"instruction\": ...}");
        Instruction instruction = read_question(row, path, line);
        if (instruction.text.find_first_not_of(" \t\r\n") == std::string::npos)
            throw InputError(path.native(), line, "the instruction is empty; remove the line");
        if (const auto* source = member(row, {"source", "category"}))
            instruction.source = source->get<std::string>();
        instruction.id = id_of(member(row, {"id"}), path, line);
        if (!ids.insert(instruction.id).second)
            throw InputError(path.native(), line,
                             fmt::format("the id '{}' is used twice", instruction.id));
        instructions.push_back(std::move(instruction));
    });
    if (instructions.empty())
        throw InputError(path.native(), "holds no instruction; give at least one line");
    return instructions;
}

}  // namespace popalign::store
