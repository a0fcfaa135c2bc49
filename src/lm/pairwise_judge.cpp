#include <popalign/base/embedded_text.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/lm/pairwise_judge.hpp>
#include <popalign/lm/scorer.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cmath>

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

PairwiseJudge::PairwiseJudge(const CausalLm& model, const ModelFrontEnd& front_end,
                             JudgeTemplate judge_template)
    : model_(model), front_end_(front_end), template_(std::move(judge_template)) {
    front_end_.require_chat("the judge");
    const auto& tokenizer = front_end_.tokenizer;
    const auto opening = tokenizer.encode(template_.assistant_prefix);
    for (const std::string& label : {template_.labels.first, template_.labels.second}) {
        auto whole = tokenizer.encode(template_.assistant_prefix + label);
        const bool extends = whole.size() == opening.size() + 1 &&
                             std::equal(opening.begin(), opening.end(), whole.begin());
        if (!extends)
            throw UsageError(
                fmt::format("judge template '{}': the label '{}' is not one token behind "
                            "'{}' for this model; choose other labels",
                            template_.name, label, template_.assistant_prefix));
        labels_.push_back(whole.back());
    }
}

std::vector<TokenId> PairwiseJudge::prompt(const std::string& instruction, const std::string& first,
                                           const std::string& second) const {
    std::vector<Message> messages;
    if (!template_.system.empty())
        messages.push_back({Role::system, template_.system});
    messages.push_back({Role::user, fill(template_.user, instruction, first, second)});
    return encode_pieces(front_end_.tokenizer,
                         front_end_.chat->render_prompt(messages, template_.assistant_prefix));
}

void PairwiseJudge::judge(std::span<const Comparison> comparisons, std::int64_t token_budget,
                          const std::function<void(std::size_t, Verdict)>& done) const {
    std::vector<std::vector<TokenId>> prompts;
    for (const auto& [instruction, chosen, rejected] : comparisons) {
        prompts.push_back(prompt(instruction, chosen, rejected));
        prompts.push_back(prompt(instruction, rejected, chosen));
    }
    const auto on_scored = [&](std::size_t index, const std::vector<float>& logprobs) {
        const auto first = static_cast<double>(logprobs[0]);
        const auto second = static_cast<double>(logprobs[1]);
        Verdict verdict;
        verdict.order = index % 2 == 0 ? AnswerOrder::chosen_first : AnswerOrder::rejected_first;
        const double ahead = index % 2 == 0 ? first - second : second - first;
        verdict.probability = 1 / (1 + std::exp(-ahead));
        verdict.label = ahead > 0   ? VerdictLabel::chosen
                        : ahead < 0 ? VerdictLabel::rejected
                                    : VerdictLabel::tie;
        verdict.raw =
            nlohmann::json{
                {"logprob", {{template_.labels.first, first}, {template_.labels.second, second}}}}
                .dump();
        done(index / 2, std::move(verdict));
    };
    score_next_token(model_, prompts, labels_, token_budget, on_scored);
}

}  // namespace popalign
