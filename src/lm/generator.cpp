#include "lm/key_value_cache.hpp"
#include "lm/prefix_forest.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/lm/generator.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

namespace popalign {
namespace {

constexpr std::int64_t extent_step = 64;

std::int64_t extent_of(const GenerationRequest& request) {
    return cache_extent(static_cast<std::int64_t>(request.prompt.size()) + request.max_new_tokens);
}

/// A sequence that is being decoded; its last drawn token is not in the cache yet.
struct Active {
    std::size_t request = 0;
    std::int64_t length = 0;  // tokens in the cache
    GeneratedTokens result;
};

/// What one step makes of a sequence.
struct Decision {
    DrawnToken drawn{};
    bool stop_token = false, ends = false;
};

using Done = std::function<void(std::size_t, GeneratedTokens)>;

/// Adds the time it lives to `seconds`.
class Stopwatch {
  public:
    explicit Stopwatch(double& seconds) : seconds_(seconds) {}
    ~Stopwatch() { seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

  private:
    using Clock = std::chrono::steady_clock;
    double& seconds_;
    Clock::time_point start_ = Clock::now();
};

/// Decodes the requests that share one cache.
class Decoder {
  public:
    Decoder(const CausalLm& model, std::span<const TokenId> stop_tokens,
            const GeneratorOptions& options, std::span<const GenerationRequest> requests,
            const Done& done, GenerationStatistics& statistics, std::int64_t slots,
            std::int64_t extent)
        : model_(model),
          group_(model.parallel().group()),
          stop_tokens_(stop_tokens),
          options_(options),
          requests_(requests),
          done_(done),
          statistics_(statistics),
          slots_(slots),
          extent_(extent),
          cache_(model, slots, extent) {}

    void run(std::vector<std::size_t> pending, const std::function<bool()>& keep_going) {
        std::reverse(pending.begin(), pending.end());
        while (!pending.empty() || !active_.empty()) {
            if (!goes_on(keep_going))
                return;
            const auto free = slots_ - static_cast<std::int64_t>(active_.size());
            // Prompts join in groups: a forward pass over a few rows wastes most of a large GEMM.
            if (!pending.empty() && (active_.empty() || free * 4 >= slots_))
                admit(pending, free);
            if (!active_.empty())
                step();
        }
    }

  private:
    bool goes_on(const std::function<bool()>& keep_going) const {
        std::uint8_t on = !group_.is_root() || !keep_going || keep_going() ? 1 : 0;
        broadcast(group_, std::span(&on, 1));
        return on != 0;
    }

    void admit(std::vector<std::size_t>& pending, std::int64_t free) {
        std::vector<std::size_t> chosen;
        while (!pending.empty() && static_cast<std::int64_t>(chosen.size()) < free) {
            chosen.push_back(pending.back());
            pending.pop_back();
        }
        std::vector<std::span<const TokenId>> prompts;
        for (std::size_t request : chosen)
            prompts.emplace_back(requests_[request].prompt);
        const auto order = prefix_order(prompts);
        // Alone, a prompt's arithmetic depends on nothing but the prompt.
        const std::size_t most = options_.deterministic ? 1 : prompts.size();
        std::vector<at::Tensor> last;
        const auto begin = active_.size();
        for (const auto& group : group_by_budget(prompts, order, options_.prefill_tokens, most)) {
            last.push_back(prefill(group, prompts));
            for (std::size_t member : group)
                active_.push_back(
                    {chosen[member], static_cast<std::int64_t>(prompts[member].size()), {}});
        }
        draw(at::cat(last), begin);
    }

    /// Fills the next free slots; returns the logits [group, vocab] behind the prompts.
    at::Tensor prefill(const std::vector<std::size_t>& group,
                       const std::vector<std::span<const TokenId>>& prompts) {
        const Stopwatch watch(statistics_.prefill_seconds);
        std::vector<std::span<const TokenId>> members;
        for (std::size_t member : group) {
            members.push_back(prompts[member]);
            statistics_.prompt_tokens += members.back().size();
        }
        if (members.size() == 1 && std::ssize(members.front()) > options_.prefill_tokens)
            return prefill_in_chunks(members.front());
        const PrefixForest packed = share_prefixes(members);
        statistics_.computed_tokens += packed.forest.tokens.size();
        PrefillAttention attention(packed, cache_, static_cast<std::int64_t>(active_.size()));
        const at::Tensor hidden = model_.hidden_states(
            at::tensor(at::ArrayRef<std::int64_t>(packed.forest.tokens)), attention);
        std::vector<std::int64_t> rows;
        for (std::size_t i = 0; i < members.size(); ++i)
            rows.push_back(packed.row(i, static_cast<std::int64_t>(members[i].size()) - 1));
        return model_.logits(hidden.index_select(
            0, at::tensor(at::ArrayRef<std::int64_t>(rows)).to(hidden.device())));
    }

    /// As `prefill`, with activations of a part of a long prompt at a time.
    at::Tensor prefill_in_chunks(std::span<const TokenId> prompt) {
        const auto slot = static_cast<std::int64_t>(active_.size());
        statistics_.computed_tokens += prompt.size();
        at::Tensor hidden;
        for (std::int64_t begin = 0; begin < std::ssize(prompt); begin += options_.prefill_tokens) {
            const auto rows = std::min(options_.prefill_tokens, std::ssize(prompt) - begin);
            const auto part =
                prompt.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(rows));
            ChunkAttention attention(cache_, slot, begin, rows);
            hidden = model_.hidden_states(
                at::tensor(std::vector<std::int64_t>(part.begin(), part.end())), attention);
        }
        return model_.logits(hidden.slice(0, hidden.size(0) - 1));
    }

    void step() {
        std::vector<std::int64_t> tokens, lengths;
        for (const Active& sequence : active_) {
            tokens.push_back(sequence.result.tokens.back());
            lengths.push_back(sequence.length);
        }
        std::int64_t extent = extent_;
        if (options_.deterministic) {  // a fixed shape: empty slots decode token 0 for nobody
            tokens.resize(static_cast<std::size_t>(slots_), 0);
            lengths.resize(static_cast<std::size_t>(slots_), 0);
        } else {
            extent = cache_extent(*std::max_element(lengths.begin(), lengths.end()) + 1);
        }
        DecodeAttention attention(cache_, lengths, extent);
        const at::Tensor logits = decode(tokens, attention);
        for (Active& sequence : active_)
            ++sequence.length;
        draw(logits, 0);
    }

    at::Tensor decode(const std::vector<std::int64_t>& tokens, Attention& attention) {
        const Stopwatch watch(statistics_.decode_seconds);
        return model_.logits(
            model_.hidden_states(at::tensor(at::ArrayRef<std::int64_t>(tokens)), attention));
    }

    /// Draws the next token of the active sequences from `begin` on, row i of `raw` for
    /// `active_[begin + i]`, and retires those that are finished.
    void draw(const at::Tensor& raw, std::size_t begin) {
        const Stopwatch watch(statistics_.sampling_seconds);
        std::vector<Decision> decisions(active_.size() - begin);
        if (group_.is_root())
            decide(raw.to(at::kCPU, at::kFloat).contiguous(), begin, decisions);
        broadcast(group_, std::as_writable_bytes(std::span(decisions)));
        for (std::size_t row = 0; row < decisions.size(); ++row)
            take(active_[begin + row].result, decisions[row]);
        statistics_.generated_tokens += decisions.size();
        retire();
    }

    void decide(const at::Tensor& logits, std::size_t begin, std::vector<Decision>& decisions) {
        const auto vocabulary = static_cast<std::size_t>(logits.size(1));
        at::parallel_for(0, static_cast<std::int64_t>(decisions.size()), 1,
                         [&](std::int64_t first, std::int64_t last) {
                             for (auto row = static_cast<std::size_t>(first);
                                  row < static_cast<std::size_t>(last); ++row)
                                 decisions[row].drawn = draw_row(
                                     {logits.data_ptr<float>() + row * vocabulary, vocabulary},
                                     active_[begin + row]);
                         });
        for (std::size_t row = 0; row < decisions.size(); ++row) {
            Decision& decision = decisions[row];
            const TokenId token = decision.drawn.token;
            decision.stop_token = std::ranges::find(stop_tokens_, token) != stop_tokens_.end();
            decision.ends = decision.stop_token;
            if (!decision.ends && options_.ends) {
                auto& tokens = active_[begin + row].result.tokens;
                tokens.push_back(token);
                decision.ends = options_.ends(tokens);
                tokens.pop_back();
            }
        }
    }

    DrawnToken draw_row(std::span<const float> logits, const Active& sequence) const {
        const GenerationRequest& request = requests_[sequence.request];
        const auto& generated = sequence.result.tokens;
        const bool short_yet =
            static_cast<std::int64_t>(generated.size()) < options_.min_new_tokens;
        return draw_token(logits, options_.sampling, request.stream.uniform(generated.size()),
                          {.prompt = request.prompt,
                           .generated = generated,
                           .forbidden = short_yet ? stop_tokens_ : std::span<const TokenId>()});
    }

    static void take(GeneratedTokens& result, const Decision& decision) {
        const double log_probability = decision.drawn.log_probability;
        result.token_logprobs.push_back(static_cast<float>(log_probability));
        result.logprob += log_probability;
        if (!decision.stop_token)
            result.tokens.push_back(decision.drawn.token);
        if (decision.ends)
            result.finish_reason = FinishReason::stop;
    }

    bool finished(const Active& sequence) const {
        return sequence.result.finish_reason == FinishReason::stop ||
               static_cast<std::int64_t>(sequence.result.tokens.size()) >=
                   requests_[sequence.request].max_new_tokens;
    }

    /// Gives finished sequences away; the last slots move into the gaps.
    void retire() {
        for (std::size_t i = active_.size(); i-- > 0;) {
            if (!finished(active_[i]))
                continue;
            done_(active_[i].request, std::move(active_[i].result));
            if (i + 1 != active_.size()) {
                cache_.copy_slot(static_cast<std::int64_t>(active_.size()) - 1,
                                 static_cast<std::int64_t>(i));
                active_[i] = std::move(active_.back());
            }
            active_.pop_back();
        }
    }

    const CausalLm& model_;
    Communicator group_;  // of the ranks that hold the model
    std::span<const TokenId> stop_tokens_;
    const GeneratorOptions& options_;
    std::span<const GenerationRequest> requests_;
    const Done& done_;
    GenerationStatistics& statistics_;
    std::int64_t slots_, extent_;
    KeyValueCache cache_;
    std::vector<Active> active_;
};

}  // namespace

std::uint64_t cache_bytes_per_token(const ModelConfig& config, at::ScalarType dtype) {
    return static_cast<std::uint64_t>(2 * config.num_hidden_layers * config.num_key_value_heads *
                                      config.head_dim) *
           c10::elementSize(dtype);
}

std::int64_t cache_extent(std::int64_t tokens) {
    return (tokens + extent_step - 1) / extent_step * extent_step;
}

Generator::Generator(const CausalLm& model, std::vector<TokenId> stop_tokens,
                     GeneratorOptions options)
    : model_(model), stop_tokens_(std::move(stop_tokens)), options_(options) {
    options_.sampling.validate();
    // One row alone goes through another kernel than many.
    options_.batch_size = std::max<std::int64_t>(options_.batch_size, 2);
}

std::int64_t Generator::slots_of(std::int64_t extent, std::size_t sequences) const {
    const std::uint64_t each =
        cache_bytes_per_token(model_.config(), model_.dtype()) * static_cast<std::uint64_t>(extent);
    const std::uint64_t fit =
        options_.cache_bytes == 0 ? sequences + 2 : options_.cache_bytes / each;
    const auto least = options_.deterministic ? static_cast<std::uint64_t>(options_.batch_size) : 1;
    if (fit < least)
        throw Error(fmt::format(
            "keys and values of {} sequences of {} tokens take {} MiB and {} are free; use fewer "
            "ranks a node, a smaller batch_size or shorter answers",
            least, extent, least * each >> 20, options_.cache_bytes >> 20));
    if (options_.deterministic)
        return options_.batch_size;
    return std::min({options_.batch_size, static_cast<std::int64_t>(sequences),
                     static_cast<std::int64_t>(fit)});
}

void Generator::check(std::span<const GenerationRequest> requests) const {
    for (const auto& request : requests) {
        const auto length =
            static_cast<std::int64_t>(request.prompt.size()) + request.max_new_tokens;
        if (request.prompt.empty() || request.max_new_tokens < 1 ||
            length > model_.config().max_position_embeddings)
            throw UsageError(fmt::format(
                "a prompt of {} tokens with up to {} new ones cannot be generated (the model has "
                "{} positions); shorten the prompt or lower max_new_tokens",
                request.prompt.size(), request.max_new_tokens,
                model_.config().max_position_embeddings));
    }
}

GenerationStatistics Generator::generate(std::span<const GenerationRequest> requests,
                                         const Done& done,
                                         const std::function<bool()>& keep_going) const {
    const c10::AutoGradMode no_gradients(false);
    check(requests);
    // Cache extents: of each request alone in deterministic mode, of the longest otherwise.
    std::map<std::int64_t, std::vector<std::size_t>> by_extent;
    std::int64_t longest = 0;
    for (const auto& request : requests)
        longest = std::max(longest, extent_of(request));
    for (std::size_t i = 0; i < requests.size(); ++i)
        by_extent[options_.deterministic ? extent_of(requests[i]) : longest].push_back(i);
    GenerationStatistics statistics;
    for (auto& [extent, members] : by_extent) {
        const std::int64_t slots = slots_of(extent, members.size());
        Decoder(model_, stop_tokens_, options_, requests, done, statistics, slots, extent)
            .run(std::move(members), keep_going);
    }
    return statistics;
}

}  // namespace popalign
