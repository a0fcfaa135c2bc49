#pragma once

#include <popalign/base/log.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/engine/occupancy.hpp>
#include <popalign/lm/engine/sampling_options.hpp>
#include <popalign/lm/text/chat_template.hpp>
#include <popalign/record/response.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace popalign::lm {

struct ChatRequest {
    std::vector<Message> messages;
    std::string assistant_prefix;
    std::int64_t max_tokens = 1;
    std::uint64_t seed = 0;
    std::vector<std::string> stop;  ///< texts that end the answer
    std::int64_t top_logprobs = 0;  ///< alternatives of each answer token to return
};

/// A token that could have stood at a place of the answer.
struct TokenAlternative {
    std::string token;
    double logprob = 0;  ///< [nat]
};

struct ChatToken {
    std::string token;
    std::vector<TokenAlternative> alternatives;
};

struct ChatAnswer {
    std::string text;
    FinishReason finish_reason = FinishReason::stop;
    bool refused = false;           ///< the server would not take this request; `text` is empty
    std::vector<ChatToken> tokens;  ///< only with `top_logprobs`
    std::uint64_t prompt_tokens = 0, completion_tokens = 0;  ///< by the server's count
};

/// Usage of a client, counted by the server.
struct EndpointUsage {
    std::uint64_t answered = 0, refused = 0, retries = 0;
    std::uint64_t prompt_tokens = 0, completion_tokens = 0;

    double cost(const EndpointOptions& options) const;
};

/// Chat completions with many requests in flight over one thread. Every request gets exactly one
/// answer or the call throws: failures that may pass (time-outs, broken connections, malformed
/// replies, 408, 409, 425, 429, 5xx) are tried again after a growing, jittered wait, never sooner
/// than the server's Retry-After asks. The key goes to the server alone; certificates are verified;
/// redirects are not followed.
class EndpointClient {
  public:
    /// `shares` is how many clients (ranks) divide the limits among them. Throws UsageError if the
    /// key's variable is not set.
    EndpointClient(EndpointOptions options, Logger logger, int shares = 1);

    /// Calls `done(index, answer)` once for each request, in no particular order. When `keep_going`
    /// returns false, sends nothing more and waits a short time for the requests in flight. Calls
    /// `more` when fewer requests wait than may be in flight. Throws Error when a request failed
    /// for good or the server rejects all of them.
    void chat(std::span<const ChatRequest> requests, const SamplingOptions& sampling,
              const std::function<void(std::size_t, ChatAnswer)>& done,
              const std::function<bool()>& keep_going = {},
              const RequestSource<ChatRequest>& more = {});

    const EndpointUsage& usage() const noexcept { return usage_; }

  private:
    EndpointOptions options_;
    Logger logger_;
    int shares_;
    std::string key_;
    EndpointUsage usage_;
};

}  // namespace popalign::lm
