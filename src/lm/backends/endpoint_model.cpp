#include "lm/backends/endpoint_messages.hpp"
#include "lm/backends/model_kinds.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>

#include <fmt/format.h>

#include <limits>

namespace popalign::lm {
namespace {

ChatRequest chat_request(const Question& question, const std::vector<std::string>& stop = {}) {
    ChatRequest request;
    request.messages = question.messages;
    request.assistant_prefix = question.assistant_prefix;
    request.max_tokens = question.max_new_tokens;
    // The stream's key is of the generation alone; this draw, of the instruction too, is no
    // token's.
    request.seed = question.stream.bits(std::numeric_limits<std::uint64_t>::max());
    request.stop = stop;
    return request;
}

class EndpointSession : public ModelSession {
  public:
    EndpointSession(const EndpointOptions& endpoint, const AnswerOptions& options)
        : endpoint_(endpoint),
          sampling_(options.sampling),
          stop_(options.stop),
          logger_(options.logger),
          client_(endpoint, options.logger, options.logger.ranks()) {}

    ~EndpointSession() override {
        const EndpointUsage& usage = client_.usage();
        logger_.info_local(fmt::format(
            "{}: {} answers, {} refused, {} retries; {} prompt and {} answer tokens, cost {:.4f}",
            endpoint_.url, usage.answered, usage.refused, usage.retries, usage.prompt_tokens,
            usage.completion_tokens, usage.cost(endpoint_)));
    }

    std::uint64_t answer(std::span<const Question> questions,
                         const std::function<void(std::size_t, Answer)>& done,
                         const std::function<bool()>& keep_going,
                         const RequestSource<Question>& more) override {
        const auto to_requests = [&](std::span<const Question> some) {
            std::vector<ChatRequest> requests;
            for (const Question& question : some)
                requests.push_back(chat_request(question, stop_));
            return requests;
        };
        RequestSource<ChatRequest> request_more;
        if (more)
            request_more = [&](const Occupancy& occupancy) { return to_requests(more(occupancy)); };
        client_.chat(
            to_requests(questions), sampling_,
            [&](std::size_t index, ChatAnswer answer) {
                done(index, {std::move(answer.text),
                             {},
                             std::numeric_limits<double>::quiet_NaN(),
                             answer.finish_reason,
                             answer.refused,
                             answer.prompt_tokens,
                             answer.completion_tokens});
            },
            keep_going, request_more);
        return 0;
    }

  private:
    EndpointOptions endpoint_;
    SamplingOptions sampling_;
    std::vector<std::string> stop_;
    Logger logger_;
    EndpointClient client_;
};

class EndpointModel : public ModelBackend {
  public:
    explicit EndpointModel(const EndpointOptions& options) : options_(options) {}

    ModelIdentity identify() const override {
        ModelIdentity identity;
        identity.path = options_.url + " " + options_.model;
        identity.sha256 = sha256_hex(identity.path);
        return identity;
    }

    std::uint64_t measure(const Question& question) const override {
        if (!question.assistant_prefix.empty() && options_.prefill == "none")
            throw UsageError(fmt::format(
                "'{}' opens the answer with given text, which {} is not known to take; set the "
                "model's prefill to continue (vLLM) or last_message, or use another strategy",
                question.generation, options_.url));
        return estimate_prompt_tokens(chat_request(question));
    }

    Preview preview(const Question& question) const override {
        return {chat_request_body(options_, chat_request(question), {}), {}};
    }

    std::uint64_t weight_bytes(const ModelIdentity&) const override { return 0; }
    std::uint64_t cache_bytes(std::int64_t) const override { return 0; }

    std::unique_ptr<ModelSession> open(const AnswerOptions& options) const override {
        return std::make_unique<EndpointSession>(options_, options);
    }

  private:
    EndpointOptions options_;
};

}  // namespace

std::unique_ptr<ModelBackend> make_endpoint_model(const EndpointOptions& options) {
    return std::make_unique<EndpointModel>(options);
}

}  // namespace popalign::lm
