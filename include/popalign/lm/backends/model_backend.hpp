#pragma once

#include <popalign/base/log.hpp>
#include <popalign/base/random.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/engine/model_ranks.hpp>
#include <popalign/lm/engine/occupancy.hpp>
#include <popalign/lm/engine/sampling_options.hpp>
#include <popalign/lm/text/chat_template.hpp>
#include <popalign/record/response.hpp>
#include <popalign/record/token.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace popalign::lm {

/// What a model is asked: a dialogue, the given beginning of its answer, and what it is asked for.
struct Question {
    std::vector<Message> messages;
    std::string assistant_prefix;
    std::int64_t max_new_tokens = 0;
    RandomStream stream;
    std::string id, instruction;  ///< the instruction behind the dialogue
    std::string generation;       ///< the plan's name of what is asked for, e.g. "prefix/chosen"
};

struct Answer {
    std::string text;
    std::vector<TokenId> tokens;  ///< as drawn, without the stop token; empty where not known
    double logprob;               ///< of all that was drawn [nat]; NaN where not known
    FinishReason finish_reason = FinishReason::stop;
    bool refused = false;  ///< it would not answer; `text` is empty
    std::uint64_t prompt_tokens = 0, answer_tokens = 0;
};

struct AnswerOptions {
    SamplingOptions sampling;
    std::int64_t batch_size = 64;
    bool deterministic = false;
    std::vector<std::string> stop = {};  ///< texts that end an answer, which does not hold them
    std::string device = "auto";
    ModelRanks ranks = {};
    Logger logger;
};

/// A model that is loaded, or connected to, and answers questions.
class ModelSession {
  public:
    virtual ~ModelSession() = default;
    /// Calls `done(index of the question, answer)` once for each, in no particular order; gives up
    /// the unfinished ones when `keep_going` says no. Where it has room, it asks for `more`.
    /// Returns how many tokens were computed here.
    virtual std::uint64_t answer(std::span<const Question> questions,
                                 const std::function<void(std::size_t, Answer)>& done,
                                 const std::function<bool()>& keep_going,
                                 const RequestSource<Question>& more = {}) = 0;
};

/// A model of the config, wherever it runs: local weights, a server, or a file of answers.
class ModelBackend {
  public:
    struct Preview {
        std::string text;
        std::vector<TokenId> tokens;  ///< empty where no tokenizer is known
    };

    virtual ~ModelBackend() = default;
    /// May hash large files.
    virtual ModelIdentity identify() const = 0;
    /// Tokens of the prompt, an estimate where no tokenizer is known. Throws UsageError if it
    /// cannot be asked this.
    virtual std::uint64_t measure(const Question& question) const = 0;
    virtual Preview preview(const Question& question) const = 0;
    /// Bytes that its weights take on this machine.
    virtual std::uint64_t weight_bytes(const ModelIdentity& identity) const = 0;
    /// Bytes that the keys and values of one sequence of up to `tokens` tokens take.
    virtual std::uint64_t cache_bytes(std::int64_t tokens) const = 0;
    /// Puts it to work. Collective over the leaders of the node.
    virtual std::unique_ptr<ModelSession> open(const AnswerOptions& options) const = 0;
};

/// Reads no weights and opens no connection. `name` is its name in the config. Throws UsageError or
/// InputError.
std::unique_ptr<ModelBackend> make_model_backend(const std::string& name,
                                                 const ModelOptions& options);

}  // namespace popalign::lm
