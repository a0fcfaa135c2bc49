#include <popalign/record/instruction.hpp>

namespace popalign {

std::string as_transcript(const Instruction& instruction) {
    if (instruction.context.empty())
        return instruction.text;
    std::string text;
    for (const Message& message : instruction.context)
        text += (message.role == Role::system ? "System: "
                 : message.role == Role::user ? "Human: "
                                              : "Assistant: ") +
                message.content + "\n\n";
    return text + "Human: " + instruction.text;
}

}  // namespace popalign
