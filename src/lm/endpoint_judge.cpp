#include "lm/endpoint_judge.hpp"

#include "lm/judge_kinds.hpp"

#include <popalign/lm/endpoint_client.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <limits>
#include <optional>

namespace popalign {
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

/// By words: exactly one of the labels occurs.
std::optional<double> odds_of_text(std::string_view text, const std::string& first,
                                   const std::string& second) {
    bool has_first = false, has_second = false;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find_first_of(" \n\t", at), text.size());
        const std::string word = core(text.substr(at, end - at));
        has_first |= word == first;
        has_second |= word == second;
        at = end + 1;
    }
    if (has_first == has_second)
        return std::nullopt;
    return has_first ? named_alone : -named_alone;
}

class EndpointJudge : public AnswerJudge {
  public:
    EndpointJudge(const EndpointOptions& endpoint, JudgeTemplate judge_template,
                  const Logger& logger)
        : endpoint_(endpoint),
          template_(std::move(judge_template)),
          client_(endpoint, logger, logger.ranks()) {}

    void judge(std::span<const Comparison> comparisons,
               const std::function<void(std::size_t, Verdict)>& done) override {
        std::vector<ChatRequest> requests;
        for (const auto& [instruction, chosen, rejected] : comparisons) {
            requests.push_back(request(instruction, chosen, rejected));
            requests.push_back(request(instruction, rejected, chosen));
        }
        client_.chat(requests, {.temperature = 0}, [&](std::size_t index, ChatAnswer answer) {
            const auto order =
                index % 2 == 0 ? AnswerOrder::chosen_first : AnswerOrder::rejected_first;
            done(index / 2, read_verdict(answer, template_.labels, order));
        });
    }

  private:
    ChatRequest request(const std::string& instruction, const std::string& first,
                        const std::string& second) const {
        ChatRequest request;
        request.messages = judge_messages(template_, instruction, first, second);
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

Verdict read_verdict(const ChatAnswer& answer, const JudgeTemplate::Labels& labels,
                     AnswerOrder order) {
    const std::string first = core(labels.first), second = core(labels.second);
    auto ahead = odds_of_tokens(answer.tokens, first, second);
    if (!ahead)
        ahead = odds_of_text(answer.text, first, second);
    Verdict verdict = verdict_of(order, ahead.value_or(0));
    verdict.parsed = ahead.has_value();
    verdict.raw = nlohmann::json{{"text", answer.text}, {"log_odds_first", ahead.value_or(0)}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
    return verdict;
}

std::unique_ptr<AnswerJudge> open_endpoint_judge(const EndpointOptions& endpoint,
                                                 JudgeTemplate judge_template,
                                                 const JudgeRunOptions& options) {
    return std::make_unique<EndpointJudge>(endpoint, std::move(judge_template), options.logger);
}

}  // namespace popalign
