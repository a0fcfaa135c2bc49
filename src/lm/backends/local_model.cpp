#include "lm/backends/model_kinds.hpp"
#include "lm/engine/tensor_parallel_model.hpp"

#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/model_identity.hpp>
#include <popalign/lm/engine/generator.hpp>
#include <popalign/lm/engine/occupancy.hpp>
#include <popalign/lm/text/chat_template.hpp>
#include <popalign/lm/text/stop_strings.hpp>
#include <popalign/lm/transformer/device_memory.hpp>
#include <popalign/record/token.hpp>

#include <fmt/format.h>

#include <chrono>

namespace popalign::lm {
namespace {

/// Share of the memory that is free after loading the weights; the rest is for activations and
/// answers.
constexpr double cache_share = 0.7;

at::ScalarType scalar_type(const ModelOptions& options) {
    return options.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat;
}

std::vector<RenderedPiece> render(const ModelFrontEnd& front_end, const Question& question) {
    return front_end.chat->render_prompt(question.messages, question.assistant_prefix);
}

std::vector<TokenId> encode(const ModelFrontEnd& front_end, const Question& question) {
    return encode_pieces(front_end.tokenizer, render(front_end, question));
}

class LocalSession : public ModelSession {
  public:
    LocalSession(TensorParallelModel model, const ModelFrontEnd& front_end,
                 const AnswerOptions& options)
        : model_(std::move(model)),
          front_end_(front_end),
          stop_(front_end.tokenizer, options.stop),
          options_(generator_options(options)) {}

    std::uint64_t answer(std::span<const Question> questions,
                         const std::function<void(std::size_t, Answer)>& done,
                         const std::function<bool()>& keep_going,
                         const RequestSource<Question>& more) override {
        std::vector<std::size_t> prompt_tokens;  // by question
        const auto encode_all = [&](std::span<const Question> some) {
            std::vector<GenerationRequest> requests;
            for (const Question& question : some) {
                requests.push_back(
                    {encode(front_end_, question), question.max_new_tokens, question.stream});
                prompt_tokens.push_back(requests.back().prompt.size());
            }
            return requests;
        };
        const auto on_done = [&](std::size_t index, GeneratedTokens result) {
            done(index, {stop_.cut(front_end_.tokenizer.decode(result.tokens)),
                         std::move(result.tokens), result.logprob, result.finish_reason, false,
                         prompt_tokens[index], result.token_logprobs.size()});
        };
        RequestSource<GenerationRequest> encode_more;
        if (more)
            encode_more = [&](const Occupancy& occupancy) { return encode_all(more(occupancy)); };
        const auto statistics = model_.generate(encode_all(questions), front_end_.stop_tokens,
                                                options_, on_done, keep_going, encode_more);
        return statistics.computed_tokens + statistics.generated_tokens;
    }

  private:
    GeneratorOptions generator_options(const AnswerOptions& options) const {
        GeneratorOptions result{options.sampling, options.batch_size, options.deterministic};
        if (!stop_.empty())
            result.ends = [this](std::span<const TokenId> answer) { return stop_.ended(answer); };
        // The ranks of a node all come here once the weights are there.
        result.cache_bytes = static_cast<std::uint64_t>(
            cache_share *
            static_cast<double>(free_memory(model_.device(), options.ranks.node().size())));
        return result;
    }

    TensorParallelModel model_;
    const ModelFrontEnd& front_end_;
    StopStrings stop_;
    GeneratorOptions options_;
};

class LocalModel : public ModelBackend {
  public:
    explicit LocalModel(const ModelOptions& options)
        : options_(options),
          front_end_(
              load_front_end(options.path, options.chat_template, options.template_arguments)) {
        front_end_.require_chat(options.path);
    }

    ModelIdentity identify() const override { return identify_model(options_.path, front_end_); }

    std::uint64_t measure(const Question& question) const override {
        return encode(front_end_, question).size();
    }

    Preview preview(const Question& question) const override {
        return {to_text(render(front_end_, question)), encode(front_end_, question)};
    }

    std::uint64_t weight_bytes(const ModelIdentity& identity) const override {
        return identity.parameters * c10::elementSize(scalar_type(options_));
    }

    std::uint64_t cache_bytes(std::int64_t tokens) const override {
        return cache_bytes_per_token(load_model_config(options_.path), scalar_type(options_)) *
               static_cast<std::uint64_t>(cache_extent(tokens));
    }

    std::unique_ptr<ModelSession> open(const AnswerOptions& options) const override {
        const auto start = std::chrono::steady_clock::now();
        auto session = std::make_unique<LocalSession>(
            TensorParallelModel(options.ranks, options_.path, scalar_type(options_),
                                options.device),
            front_end_, options);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        options.logger.info(fmt::format("loaded {} in {:.1f} s", options_.path, seconds.count()));
        return session;
    }

  private:
    ModelOptions options_;
    ModelFrontEnd front_end_;
};

}  // namespace

std::unique_ptr<ModelBackend> make_local_model(const ModelOptions& options) {
    return std::make_unique<LocalModel>(options);
}

}  // namespace popalign::lm
