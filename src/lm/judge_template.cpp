#include <popalign/base/embedded_text.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/lm/judge_template.hpp>

#include <fmt/format.h>

#include <array>

namespace popalign {

std::span<const EmbeddedText> builtin_judges();

namespace {

/// Fills in the marks in one pass: answers may themselves contain one.
std::string fill(const std::string& text, const std::string& instruction, const std::string& first,
                 const std::string& second) {
    const std::array<std::pair<std::string_view, const std::string*>, 3> marks{
        {{"{instruction}", &instruction}, {"{first}", &first}, {"{second}", &second}}};
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        bool filled = false;
        for (const auto& [mark, value] : marks)
            if (text.compare(at, mark.size(), mark) == 0) {
                result += *value;
                at += mark.size();
                filled = true;
                break;
            }
        if (!filled)
            result += text[at++];
    }
    return result;
}

}  // namespace

JudgeTemplate load_judge_template(const std::string& name) {
    JudgeTemplate judge_template;
    if (name.ends_with(".yaml")) {
        read_config(load_config(name), judge_template);
        return judge_template;
    }
    std::string known;
    for (const auto& [builtin, text] : builtin_judges()) {
        known += fmt::format(" {}", builtin);
        if (builtin == name) {
            read_config(parse_config(std::string(text), name + ".yaml"), judge_template);
            return judge_template;
        }
    }
    throw UsageError(fmt::format(
        "judge.template '{}' is neither built in (known:{}) nor a .yaml file", name, known));
}

std::string judge_template_sha256(const JudgeTemplate& judge_template) {
    return sha256_hex(print_config(judge_template));
}

std::vector<Message> judge_messages(const JudgeTemplate& judge_template,
                                    const std::string& instruction, const std::string& first,
                                    const std::string& second) {
    std::vector<Message> messages;
    if (!judge_template.system.empty())
        messages.push_back({Role::system, judge_template.system});
    messages.push_back({Role::user, fill(judge_template.user, instruction, first, second)});
    return messages;
}

}  // namespace popalign
