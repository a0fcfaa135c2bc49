#pragma once

#include "lm/backends/endpoint_client.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace popalign::lm {

/// Body of a POST to /chat/completions.
std::string chat_request_body(const EndpointOptions& options, const ChatRequest& request,
                              const SamplingOptions& sampling);

/// Nothing if the body is no complete chat completion.
std::optional<ChatAnswer> parse_chat_answer(std::string_view body);

/// The server's words about a failure on one short line.
std::string error_text(std::string_view body);

/// A guess before the server counts: 4 bytes a token, and a few for each message's frame.
std::uint64_t estimate_prompt_tokens(const ChatRequest& request);

}  // namespace popalign::lm
