#include "lm/judge/endpoint_judge.hpp"

#include "lm/backends/endpoint_client.hpp"
#include "lm/judge/judge_kinds.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <limits>
#include <optional>

namespace popalign::lm {
namespace {

constexpr std::int64_t verdict_tokens = 16;
constexpr double named_alone = 20;  // log-odds [nat] of a label that is said without probabilities

/// Without what is no letter or digit at its ends.
std::string core(std::string_view text) {
    const auto plain = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
               static_cast<unsigned char>(c) >= 0x80;
    };
    const auto first = std::ranges::find_if(text, plain);
    const auto last = std::find_if(text.rbegin(), text.rend(), plain).base();
    return first < last ? std::string(first, last) : "";
}

/// Log-odds of the first label at the first token that is one; nothing if none is.
std::optional<double> odds_of_tokens(const std::vector<ChatToken>& tokens, const std::string& first,
                                     const std::string& second) {
    for (const ChatToken& token : tokens) {
        if (token.alternatives.empty() ||
            (core(token.token) != first && core(token.token) != second))
            continue;
        constexpr double none = -std::numeric_limits<double>::infinity();
        double of_first = none, of_second = none, least = 0;
        for (const auto& [text, logprob] : token.alternatives) {
            least = std::min(least, logprob);
            if (core(text) == first)
                of_first = std::max(of_first, logprob);
            else if (core(text) == second)
                of_second = std::max(of_second, logprob);
        }
        // A label that is not listed is at most as likely as the least likely one that is.
        return std::max(of_first, least) - std::max(of_second, least);
    }
    return std::nullopt;
}

/// By what it says, where its probabilities are not known.
std::optional<double> odds_of_words(const std::string& text, const JudgeTemplate& judge_template) {
    const Outcome outcome = judgement_of_words(judge_template, text).outcome;
    if (outcome != Outcome::first && outcome != Outcome::second)
        return std::nullopt;
    return outcome == Outcome::first ? named_alone : -named_alone;
}

class EndpointJudge : public AnswerJudge {
  public:
    EndpointJudge(const EndpointOptions& endpoint, JudgeTemplate judge_template,
                  const Logger& logger)
        : endpoint_(endpoint),
          template_(std::move(judge_template)),
          client_(endpoint, logger, logger.ranks()) {}

    JudgeUsage judge(std::span<const JudgeQuery> queries,
                     const std::function<void(std::size_t, Judgement)>& done,
                     const std::function<bool()>& keep_going) override {
        std::vector<ChatRequest> requests;
        for (const JudgeQuery& query : queries)
            requests.push_back(request(query));
        JudgeUsage usage;
        client_.chat(
            requests, {.temperature = 0},
            [&](std::size_t index, const ChatAnswer& answer) {
                usage.prompt_tokens += answer.prompt_tokens;
                usage.answer_tokens += answer.completion_tokens;
                done(index, read_judgement(answer, template_));
            },
            keep_going);
        usage.cost = price(endpoint_, usage);
        return usage;
    }

  private:
    ChatRequest request(const JudgeQuery& query) const {
        ChatRequest request;
        request.messages = judge_messages(template_, query);
        if (endpoint_.prefill != "none")
            request.assistant_prefix = template_.assistant_prefix;
        request.max_tokens = verdict_tokens;
        request.top_logprobs = endpoint_.top_logprobs;
        return request;
    }

    EndpointOptions endpoint_;
    JudgeTemplate template_;
    EndpointClient client_;
};

}  // namespace

Judgement read_judgement(const ChatAnswer& answer, const JudgeTemplate& judge_template) {
    const std::string first = core(judge_template.labels[0].text),
                      second = core(judge_template.labels[1].text);
    auto ahead = odds_of_tokens(answer.tokens, first, second);
    if (!ahead)
        ahead = odds_of_words(answer.text, judge_template);
    Judgement judgement = judgement_of(ahead.value_or(0));
    if (!ahead)
        judgement.outcome = answer.refused
                                ? Outcome::abstained
                                : judgement_of_words(judge_template, answer.text).outcome;
    judgement.raw =
        nlohmann::json{{"text", answer.text}, {"log_odds_first", ahead.value_or(0)}}.dump(
            -1, ' ', false, nlohmann::json::error_handler_t::replace);
    return judgement;
}

std::unique_ptr<AnswerJudge> open_endpoint_judge(const EndpointOptions& endpoint,
                                                 JudgeTemplate judge_template,
                                                 const JudgeRunOptions& options) {
    return std::make_unique<EndpointJudge>(endpoint, std::move(judge_template), options.logger);
}

}  // namespace popalign::lm
