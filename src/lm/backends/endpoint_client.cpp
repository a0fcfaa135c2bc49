#include "lm/backends/endpoint_messages.hpp"
#include "lm/backends/endpoint_pacing.hpp"
#include "lm/backends/endpoint_transfers.hpp"

#include <popalign/base/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <limits>
#include <queue>
#include <random>

namespace popalign::lm {
namespace {

using TimePoint = PacingClock::time_point;

constexpr Seconds longest_poll{0.25};    // how late a deadline or a free slot is noticed
constexpr Seconds grace_after_stop{15};  // for answers that are paid for already
constexpr Seconds between_warnings{10};
constexpr std::size_t rejections_to_give_up = 8;

std::string chat_url(std::string url) {
    while (url.ends_with('/'))
        url.pop_back();
    return url + "/chat/completions";
}

/// One call of `EndpointClient::chat`.
class Session {
  public:
    Session(const EndpointOptions& options, const Logger& logger, int shares,
            const std::string& key, std::span<const ChatRequest> requests,
            const SamplingOptions& sampling,
            const std::function<void(std::size_t, ChatAnswer)>& done, EndpointUsage& usage)
        : options_(options),
          logger_(logger),
          key_(key),
          sampling_(sampling),
          done_(done),
          usage_(usage),
          in_flight_limit_(static_cast<std::size_t>(
              std::max<std::int64_t>(options.requests_in_flight / shares, 1))),
          requests_a_minute_(static_cast<double>(options.requests_per_minute) / shares),
          tokens_a_minute_(static_cast<double>(options.tokens_per_minute) / shares),
          transfers_(chat_url(options.url), key, options.timeout, in_flight_limit_) {
        add({requests.begin(), requests.end()});
    }

    void run(const std::function<bool()>& keep_going, const RequestSource<ChatRequest>& more) {
        std::optional<TimePoint> stopped;
        for (;;) {
            if (!stopped && keep_going && !keep_going())
                stopped = now();
            const std::size_t under_way = waiting_.size() + transfers_.in_flight();
            if (more && !stopped && under_way < in_flight_limit_)
                add(more({under_way, in_flight_limit_}));
            if (waiting_.empty() && transfers_.in_flight() == 0)
                break;
            if (stopped && (transfers_.in_flight() == 0 || now() > *stopped + grace_after_stop))
                return;
            Seconds wait = longest_poll;
            if (!stopped)
                wait = std::min(wait, start_what_may());
            for (HttpReply& reply :
                 transfers_.wait(std::chrono::ceil<std::chrono::milliseconds>(wait)))
                handle(reply);
        }
        if (usage_.answered == 0 && !rejected_.empty())
            give_up_rejected();
        for (const auto& [index, text] : rejected_)
            refuse(index, text);
    }

  private:
    struct Waiting {
        TimePoint from;
        std::size_t index;
        auto operator<=>(const Waiting&) const = default;
    };

    static TimePoint now() { return PacingClock::now(); }

    void add(std::vector<ChatRequest> requests) {
        for (ChatRequest& request : requests) {
            waiting_.push({TimePoint::min(), requests_.size()});
            requests_.push_back(std::move(request));
            attempts_.push_back(0);
        }
    }

    double budgeted_tokens(std::size_t index) const {
        return static_cast<double>(estimate_prompt_tokens(requests_[index])) +
               static_cast<double>(requests_[index].max_tokens);
    }

    /// Returns how long nothing more can be started.
    Seconds start_what_may() {
        while (!waiting_.empty() && transfers_.in_flight() < in_flight_limit_) {
            const auto [from, index] = waiting_.top();
            const TimePoint time = now();
            const double tokens = budgeted_tokens(index);
            const TimePoint ready =
                std::max({from, paused_until_, requests_a_minute_.ready_at(1, time),
                          tokens_a_minute_.ready_at(tokens, time)});
            if (ready > time)
                return ready - time;
            waiting_.pop();
            requests_a_minute_.spend(index, 1, time);
            tokens_a_minute_.spend(index, tokens, time);
            ++attempts_[index];
            transfers_.start(index, chat_request_body(options_, requests_[index], sampling_));
        }
        return longest_poll;
    }

    void handle(HttpReply& reply) {
        if (!reply.failure.empty()) {
            if (reply.permanent)
                fail(reply.failure);
            return retry(reply, reply.failure);
        }
        switch (classify_status(reply.status)) {
            case ReplyKind::success:
                if (auto answer = parse_chat_answer(reply.body))
                    return accept(reply.id, std::move(*answer));
                return retry(reply, "its reply is no chat completion: " + said(reply));
            case ReplyKind::retry:
                return retry(reply, fmt::format("{} {}", reply.status, said(reply)));
            case ReplyKind::rejected:
                return reject(reply.id, fmt::format("{} {}", reply.status, said(reply)));
            case ReplyKind::fatal:
                fail(fmt::format("{} {}", reply.status, said(reply)));
        }
    }

    void accept(std::size_t index, ChatAnswer answer) {
        ++usage_.answered;
        usage_.prompt_tokens += answer.prompt_tokens;
        usage_.completion_tokens += answer.completion_tokens;
        const auto used = static_cast<double>(answer.prompt_tokens + answer.completion_tokens);
        if (used > 0)
            tokens_a_minute_.correct(index, used);
        done_(index, std::move(answer));
        for (const auto& [rejected, text] : std::exchange(rejected_, {}))
            refuse(rejected, text);
    }

    void retry(const HttpReply& reply, const std::string& reason) {
        const std::int64_t attempt = attempts_[reply.id];
        if (attempt > options_.retries)
            throw Error(
                fmt::format("{}: no answer to a request after {} attempts (the last: {}); "
                            "run the command again to go on from what is saved",
                            options_.url, attempt, without_key(reason)));
        ++usage_.retries;
        const double uniform = std::uniform_real_distribution<double>(0, 1)(jitter_);
        const auto wait = retry_wait(Seconds(options_.backoff), attempt, uniform);
        TimePoint from = now() + std::chrono::ceil<PacingClock::duration>(wait);
        if (const auto asked = parse_retry_after(reply.retry_after, std::time(nullptr))) {
            paused_until_ =
                std::max(paused_until_, now() + std::chrono::ceil<PacingClock::duration>(*asked));
            from = std::max(from, paused_until_);
        }
        waiting_.push({from, reply.id});
        if (now() < warned_ + between_warnings)
            return;
        warned_ = now();
        logger_.warn_local(fmt::format("{}: {}; trying again ({} retries so far)", options_.url,
                                       without_key(reason), usage_.retries));
    }

    /// A rejection is believed to be the request's own fault once the server has taken another.
    void reject(std::size_t index, const std::string& reason) {
        if (usage_.answered > 0)
            return refuse(index, reason);
        rejected_.emplace_back(index, reason);
        if (rejected_.size() >= rejections_to_give_up)
            give_up_rejected();
    }

    void refuse(std::size_t index, const std::string& reason) {
        ++usage_.refused;
        logger_.warn_local(fmt::format("{}: does not take a request ({}); its answer is empty",
                                       options_.url, without_key(reason)));
        ChatAnswer answer;
        answer.refused = true;
        done_(index, std::move(answer));
    }

    [[noreturn]] void give_up_rejected() const {
        fail("it took none of the first requests: " + rejected_.front().second);
    }

    [[noreturn]] void fail(const std::string& reason) const {
        throw Error(fmt::format("{}: {}; check url, model and api_key_env of the model '{}'",
                                options_.url, without_key(reason), options_.model));
    }

    std::string said(const HttpReply& reply) const { return error_text(without_key(reply.body)); }

    /// Servers like to repeat a wrong key.
    std::string without_key(std::string text) const {
        for (std::size_t place = 0; !key_.empty() && (place = text.find(key_, place)) != text.npos;)
            text.replace(place, key_.size(), "[key]");
        return text;
    }

    const EndpointOptions& options_;
    const Logger& logger_;
    const std::string& key_;
    std::deque<ChatRequest> requests_;
    const SamplingOptions& sampling_;
    const std::function<void(std::size_t, ChatAnswer)>& done_;
    EndpointUsage& usage_;
    std::size_t in_flight_limit_;
    std::vector<std::int64_t> attempts_;
    MinuteWindow requests_a_minute_, tokens_a_minute_;
    HttpTransfers transfers_;
    std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;
    TimePoint paused_until_ = TimePoint::min(), warned_ = TimePoint::min();
    std::vector<std::pair<std::size_t, std::string>> rejected_;
    std::mt19937_64 jitter_{std::random_device{}()};
};

std::string read_key(const EndpointOptions& options) {
    if (options.api_key_env.empty())
        return "";
    const char* key = std::getenv(options.api_key_env.c_str());
    if (key == nullptr || *key == '\0')
        throw UsageError(
            fmt::format("{}: its api_key_env names the environment variable {}, which "
                        "is not set; export it",
                        options.url, options.api_key_env));
    // A line break would end the header and start another.
    if (std::string_view(key).find_first_of("\r\n") != std::string_view::npos)
        throw UsageError(fmt::format("{}: the key in {} holds a line break; remove it", options.url,
                                     options.api_key_env));
    return key;
}

}  // namespace

double EndpointUsage::cost(const EndpointOptions& options) const {
    return (static_cast<double>(prompt_tokens) * options.prompt_price +
            static_cast<double>(completion_tokens) * options.completion_price) /
           1e6;
}

EndpointClient::EndpointClient(EndpointOptions options, Logger logger, int shares)
    : options_(std::move(options)), logger_(logger), shares_(shares), key_(read_key(options_)) {}

void EndpointClient::chat(std::span<const ChatRequest> requests, const SamplingOptions& sampling,
                          const std::function<void(std::size_t, ChatAnswer)>& done,
                          const std::function<bool()>& keep_going,
                          const RequestSource<ChatRequest>& more) {
    Session(options_, logger_, shares_, key_, requests, sampling, done, usage_)
        .run(keep_going, more);
}

}  // namespace popalign::lm
