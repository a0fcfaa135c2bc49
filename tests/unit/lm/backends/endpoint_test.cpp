#include "lm/backends/endpoint_messages.hpp"
#include "lm/backends/endpoint_pacing.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/backends/model_backend.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <random>
#include <set>

namespace popalign::lm {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

TEST(EndpointPacing, StatusesThatMayPassAreTriedAgain) {
    for (long status : {408L, 409L, 425L, 429L, 500L, 502L, 503L, 504L, 529L})
        EXPECT_EQ(classify_status(status), ReplyKind::retry) << status;
    for (long status : {400L, 413L, 422L})
        EXPECT_EQ(classify_status(status), ReplyKind::rejected) << status;
    for (long status : {301L, 401L, 403L, 404L, 0L})
        EXPECT_EQ(classify_status(status), ReplyKind::fatal) << status;
    EXPECT_EQ(classify_status(200), ReplyKind::success);
}

TEST(EndpointPacing, RetryAfterIsANumberOrADate) {
    constexpr std::int64_t now = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
    EXPECT_EQ(parse_retry_after("7", now)->count(), 7);
    EXPECT_EQ(parse_retry_after("0.5", now)->count(), 0.5);
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:57 GMT", now)->count(), 20);
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now)->count(), 0);
    EXPECT_EQ(parse_retry_after("1e300", now)->count(), 3600);
    EXPECT_EQ(parse_retry_after("-4", now)->count(), 0);
    for (const char* text : {"", "soon", "nan", "12 apples"})
        EXPECT_FALSE(parse_retry_after(text, now)) << text;
}

TEST(EndpointPacing, WaitsDoubleWithinTheirJitter) {
    for (std::int64_t attempt = 1; attempt < 100; ++attempt)
        for (double uniform : {0.0, 0.5, 0.999}) {
            const double most = std::min(0.5 * std::exp2(static_cast<double>(attempt - 1)), 60.0);
            const double wait = retry_wait(0.5s, attempt, uniform).count();
            EXPECT_LE(wait, most);
            EXPECT_GE(wait, most / 2);
        }
}

/// No minute holds more than the limit, and nobody waits longer than needed.
TEST(MinuteWindow, NoMinuteHoldsMoreThanTheLimit) {
    std::mt19937 random(1);
    std::uniform_real_distribution<double> amounts(1, 40), pauses(0, 5);
    MinuteWindow window(100);
    PacingClock::time_point now{};
    std::vector<std::pair<PacingClock::time_point, double>> spent;
    for (std::size_t id = 0; id < 500; ++id) {
        now += std::chrono::ceil<PacingClock::duration>(Seconds(pauses(random)));
        double amount = amounts(random);
        const auto ready = window.ready_at(amount, now);
        const auto total = [&](PacingClock::time_point at) {
            double sum = amount;
            for (const auto& [when, much] : spent)
                sum += when + 1min > at ? much : 0;
            return sum;
        };
        EXPECT_LE(total(ready), 100 + 1e-9);
        if (ready > now) {
            EXPECT_GT(total(ready - 1ns), 100 - 1e-9);
        }
        now = ready;
        window.spend(id, amount, now);
        if (id % 3 == 0)
            window.correct(id, amount /= 2);
        spent.emplace_back(now, amount);
    }
}

TEST(MinuteWindow, MoreThanTheLimitWaitsForAnEmptyWindow) {
    MinuteWindow window(10);
    const PacingClock::time_point start{};
    EXPECT_EQ(window.ready_at(50, start), start);
    window.spend(0, 50, start);
    EXPECT_EQ(window.ready_at(1, start), start + 1min);
    EXPECT_EQ(window.ready_at(50, start + 2min), start + 2min);
    MinuteWindow none(0);
    none.spend(0, 1e9, start);
    EXPECT_EQ(none.ready_at(1e9, start), start);
}

ChatRequest request(std::string prefix = "") {
    ChatRequest result;
    result.messages = {{Role::system, "Be brief."}, {Role::user, "Say \"hi\"\n\xff"}};
    result.assistant_prefix = std::move(prefix);
    result.max_tokens = 9;
    result.seed = 0xffffffffffffffff;
    return result;
}

TEST(EndpointMessages, BodyHoldsOnlyWhatServersKnow) {
    EndpointOptions options;
    options.model = "m";
    const Json body = Json::parse(chat_request_body(options, request(), {}));
    EXPECT_EQ(body["messages"].size(), 2U);
    EXPECT_EQ(body["messages"][0]["role"], "system");
    EXPECT_EQ(body["max_tokens"], 9);
    EXPECT_EQ(body["seed"], 0x7fffffff);
    for (const char* name : {"top_k", "min_p", "repetition_penalty", "logprobs"})
        EXPECT_FALSE(body.contains(name)) << name;
    options.prefill = "continue";
    options.length_field = "max_completion_tokens";
    const Json continued = Json::parse(chat_request_body(options, request("Sure,"), {}));
    EXPECT_EQ(continued["messages"][2]["content"], "Sure,");
    EXPECT_EQ(continued["continue_final_message"], true);
    EXPECT_EQ(continued["max_completion_tokens"], 9);
}

TEST(EndpointModel, SeedsDifferByInstructionGenerationAndRun) {
    ModelOptions options;
    options.endpoint.url = "http://localhost:1/v1";
    options.endpoint.model = "m";
    const auto backend = make_model_backend("server", options);
    std::set<std::int64_t> seeds;
    const auto seed_of = [&](std::uint64_t run, const char* instruction, const char* generation) {
        const Question question{{{Role::user, "Hello"}},
                                "",
                                8,
                                RandomStream(run, instruction, generation),
                                instruction,
                                "Hello",
                                generation};
        return nlohmann::json::parse(backend->preview(question).text)
            .at("seed")
            .get<std::int64_t>();
    };
    for (const std::uint64_t run : {0U, 1U})
        for (const char* instruction : {"i0", "i1", "i2"})
            for (const char* generation : {"prefix", "refine"})
                seeds.insert(seed_of(run, instruction, generation));
    EXPECT_EQ(seeds.size(), 12U);
    EXPECT_EQ(seed_of(0, "i0", "prefix"), seed_of(0, "i0", "prefix"));
}

TEST(EndpointMessages, AnswersAreReadAndHalfOnesAreNot) {
    const std::string whole =
        R"({"choices":[{"message":{"content":"hi"},"finish_reason":"length",)"
        R"("logprobs":{"content":[{"token":"A","top_logprobs":[{"token":"A","logprob":-0.1},7]}]}}],)"
        R"("usage":{"prompt_tokens":5,"completion_tokens":-1}})";
    const auto answer = parse_chat_answer(whole);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->text, "hi");
    EXPECT_EQ(answer->finish_reason, FinishReason::length);
    EXPECT_EQ(answer->prompt_tokens, 5U);
    EXPECT_EQ(answer->completion_tokens, 0U);
    ASSERT_EQ(answer->tokens.size(), 1U);
    EXPECT_EQ(answer->tokens[0].alternatives.size(), 1U);
    for (std::size_t length = 0; length < whole.size(); ++length)
        EXPECT_FALSE(parse_chat_answer(whole.substr(0, length))) << length;
    for (const char* body : {"[]", "{}", R"({"choices":{}})", R"({"choices":[7]})",
                             R"({"choices":[{"message":{"content":7}}]})"})
        EXPECT_FALSE(parse_chat_answer(body)) << body;
    EXPECT_TRUE(parse_chat_answer(R"({"choices":[{"message":{"content":null}}]})"));
}

TEST(EndpointMessages, ErrorTextIsOneShortLine) {
    EXPECT_EQ(error_text(R"({"error":{"message":"no\nsuch"}})"), "no such");
    EXPECT_EQ(error_text(R"({"error":"plain"})"), "plain");
    EXPECT_EQ(error_text("<html>\x1b[2J</html>"), "<html> [2J</html>");
    EXPECT_LT(error_text(std::string(100000, 'x')).size(), 400U);
}

TEST(EndpointOptions, MistakesAreNamed) {
    EndpointOptions good;
    good.url = "https://example.org/v1";
    good.model = "m";
    EXPECT_NO_THROW(good.validate("teacher"));
    const auto refused = [&](auto change) {
        EndpointOptions options = good;
        change(options);
        EXPECT_THROW(options.validate("teacher"), UsageError);
    };
    refused([](auto& options) { options.url = "file:///etc/passwd"; });
    refused([](auto& options) { options.url = "https://user:secret@example.org"; });
    refused([](auto& options) { options.model = ""; });
    refused([](auto& options) { options.prefill = "maybe"; });
    refused([](auto& options) { options.timeout = std::nan(""); });
    refused([](auto& options) { options.requests_in_flight = 0; });
    good.api_key_env = "POPALIGN_TEST_NO_SUCH_KEY";
    EXPECT_THROW(EndpointClient(good, Logger()), UsageError);
}

}  // namespace
}  // namespace popalign::lm
