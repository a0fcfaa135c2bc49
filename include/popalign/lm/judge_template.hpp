#pragma once

#include <popalign/base/config.hpp>
#include <popalign/lm/chat_template.hpp>

#include <string>
#include <vector>

namespace popalign {

/// How a model is asked which of two answers is better, as data (configs/judges).
struct JudgeTemplate {
    struct Labels {
        std::string first, second;
        template <class Visitor>
        void visit(Visitor& v) {
            v.field("first", first, "what the judge says for the first answer", Presence::required);
            v.field("second", second, "and for the second", Presence::required);
        }
    };
    std::string name, source, system, user, assistant_prefix;
    Labels labels;

    template <class Visitor>
    void visit(Visitor& v) {
        v.field("name", name, "what it is called", Presence::required);
        v.field("source", source, "where it comes from");
        v.field("system", system, "system message; empty: none");
        v.field("user", user, "holds {instruction}, {first} and {second}", Presence::required);
        v.field("assistant_prefix", assistant_prefix, "given beginning of the verdict");
        v.field("labels", labels, "the tokens whose probabilities are compared",
                Presence::required);
    }
};

/// A built-in name, or a YAML file (a name that ends in .yaml). Throws UsageError or InputError.
JudgeTemplate load_judge_template(const std::string& name);
/// SHA-256 of the template as YAML.
std::string judge_template_sha256(const JudgeTemplate& judge_template);

/// The dialogue before the verdict. Marks in what is filled in stay as they are.
std::vector<Message> judge_messages(const JudgeTemplate& judge_template,
                                    const std::string& instruction, const std::string& first,
                                    const std::string& second);

}  // namespace popalign
