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

/// Request to a model: a dialogue, a given beginning of the answer, and the settings of the draw.
struct Question {
    std::vector<Message> messages;
    std::string assistant_prefix;
    std::int64_t max_new_tokens = 0;
    RandomStream stream;
    std::string id, instruction;  ///< the instruction behind the dialogue
    std::string generation;       ///< name of the generation in the plan, e.g. "prefix/chosen"
};

struct Answer {
    std::string text;
    std::vector<TokenId> tokens;  ///< as drawn, without the stop token; empty if unknown
    double logprob;               ///< of all drawn tokens [nat]; NaN if unknown
    FinishReason finish_reason = FinishReason::stop;
    bool refused = false;  ///< the model declined to answer; `text` is empty
    std::uint64_t prompt_tokens = 0, answer_tokens = 0;
};

struct AnswerOptions {
    SamplingOptions sampling;
    std::int64_t batch_size = 64;
    bool deterministic = false;
    std::vector<std::string> stop = {};  ///< texts that end an answer; they are not part of it
    std::string device = "auto";
    ModelRanks ranks = {};
    Logger logger;
};

/// A loaded or connected model that answers questions.
class ModelSession {
  public:
    virtual ~ModelSession() = default;
    /// Calls `done(index of the question, answer)` once for each question, in no particular order.
    /// Drops unfinished questions when `keep_going` returns false. Asks `more` for questions when
    /// it has free slots. Returns the number of tokens computed on this rank.
    virtual std::uint64_t answer(std::span<const Question> questions,
                                 const std::function<void(std::size_t, Answer)>& done,
                                 const std::function<bool()>& keep_going,
                                 const RequestSource<Question>& more = {}) = 0;
};

/// A model named in the config: local weights, a server, or a file of answers.
class ModelBackend {
  public:
    struct Preview {
        std::string text;
        std::vector<TokenId> tokens;  ///< empty where no tokenizer is known
    };

    virtual ~ModelBackend() = default;
    /// Returns the identity of the model. May hash large files.
    virtual ModelIdentity identify() const = 0;
    /// Returns the number of prompt tokens; an estimate if no tokenizer is known. Throws UsageError
    /// if the model cannot take the question.
    virtual std::uint64_t measure(const Question& question) const = 0;
    virtual Preview preview(const Question& question) const = 0;
    /// Returns the bytes that the weights take on this machine.
    virtual std::uint64_t weight_bytes(const ModelIdentity& identity) const = 0;
    /// Returns the bytes that the keys and values of one sequence of up to `tokens` tokens take.
    virtual std::uint64_t cache_bytes(std::int64_t tokens) const = 0;
    /// Loads or connects the model. Collective over the leaders of the node.
    virtual std::unique_ptr<ModelSession> open(const AnswerOptions& options) const = 0;
};

/// Creates the backend of a model without reading weights or opening a connection. `name` is the
/// model's name in the config. Throws UsageError or InputError.
std::unique_ptr<ModelBackend> make_model_backend(const std::string& name,
                                                 const ModelOptions& options);

}  // namespace popalign::lm
