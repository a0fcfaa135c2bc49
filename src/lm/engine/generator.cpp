#include "lm/engine/device_sampler.hpp"
#include "lm/engine/key_value_cache.hpp"
#include "lm/engine/request_queue.hpp"
#include "lm/engine/sampler.hpp"
#include "lm/engine/step_cost.hpp"
#include "lm/transformer/prefix_forest.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/lm/engine/generator.hpp>
#include <popalign/lm/transformer/attention.hpp>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <utility>

namespace popalign::lm {
namespace {

constexpr std::int64_t extent_step = 64;

/// A sequence that is being decoded; its last drawn token is not in the cache yet.
struct Active {
    std::size_t request = 0;
    std::int64_t length = 0;  // tokens in the cache
    GeneratedTokens result;
};

/// Result of one step for a sequence.
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

/// The part of a request that the ranks following the first one need.
struct Shape {
    std::vector<TokenId> prompt;
    std::int64_t max_new_tokens = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& prompt& max_new_tokens;
    }
};

/// Callbacks of a run of the generator.
struct Calls {
    const Done& done;
    const std::function<bool()>& keep_going;
    const RequestSource<GenerationRequest>& more;
};

/// One run of the generator: what it was given, has under way and learned.
struct GeneratorRun {
    const Generator& generator;
    Calls calls;
    RequestQueue queue;
    comm::Communicator group = generator.model().parallel().group();  // ranks that hold the model
    StepCost step_cost = {};
    GenerationStatistics statistics = {};

    /// Whether to go on; asks for more requests if there is room.
    bool goes_on(std::size_t under_way, std::size_t slots, bool has_room) {
        std::vector<GenerationRequest> added;
        std::array<std::uint64_t, 2> orders{1, 0};  // go on, requests that come
        if (group.is_root()) {
            orders[0] = !calls.keep_going || calls.keep_going() ? 1 : 0;
            if (orders[0] != 0 && has_room && calls.more)
                added = calls.more({under_way + queue.waiting(), slots, step_cost.overhead()});
            generator.check(added);
            orders[1] = added.size();
        }
        comm::broadcast(group, std::span<std::uint64_t>(orders));
        if (orders[1] > 0)
            queue.add(share(std::move(added)));
        return orders[0] != 0;
    }

  private:
    std::vector<GenerationRequest> share(std::vector<GenerationRequest> added) const {
        if (group.size() == 1)
            return added;
        std::vector<Shape> shapes;
        for (const GenerationRequest& request : added)
            shapes.push_back({request.prompt, request.max_new_tokens});
        shapes = comm::broadcast_object(group, shapes);
        if (!group.is_root())
            for (Shape& shape : shapes)
                added.push_back(
                    {std::move(shape.prompt), shape.max_new_tokens, RandomStream(0, "", "")});
        return added;
    }
};

/// Decodes the requests of a run that fit in a cache of `extent` positions.
class Decoder {
  public:
    Decoder(GeneratorRun& run, std::int64_t slots, std::int64_t extent)
        : run_(run),
          model_(run.generator.model()),
          options_(run.generator.options()),
          statistics_(run.statistics),
          slots_(slots),
          extent_(extent),
          cache_(model_, slots, extent) {}

    /// Until nothing is under way and nothing that waits fits; false if all is to end.
    bool decode_all() {
        for (;;) {
            // Prompts join in groups: a pass over a few rows wastes most of a large GEMM.
            const auto free = slots_ - static_cast<std::int64_t>(active_.size());
            const bool has_room = active_.empty() || free * 4 >= slots_;
            if (!run_.goes_on(active_.size(), static_cast<std::size_t>(slots_), has_room))
                return false;
            std::vector<std::size_t> joining;
            if (has_room)
                joining = run_.queue.take(extent_, static_cast<std::size_t>(free));
            if (!joining.empty())
                admit(joining);
            else if (active_.empty())
                return true;
            if (!active_.empty())
                step();
        }
    }

  private:
    void admit(const std::vector<std::size_t>& chosen) {
        std::vector<std::span<const TokenId>> prompts;
        for (std::size_t request : chosen)
            prompts.emplace_back(run_.queue[request].prompt);
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
        const auto sequences = static_cast<double>(active_.size());
        const auto start = std::chrono::steady_clock::now();
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
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        run_.step_cost.add(sequences, seconds.count());
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
        if (run_.group.is_root())
            decide(raw, begin, decisions);
        comm::broadcast(run_.group, std::as_writable_bytes(std::span(decisions)));
        for (std::size_t row = 0; row < decisions.size(); ++row)
            take(active_[begin + row].result, decisions[row]);
        statistics_.generated_tokens += decisions.size();
        retire();
    }

    void decide(const at::Tensor& logits, std::size_t begin, std::vector<Decision>& decisions) {
        if (logits.is_cpu() || !draws_in_batches(options_.sampling))
            draw_each(logits.to(at::kCPU).to(at::kFloat).contiguous(), begin, decisions);
        else
            draw_together(logits, begin, decisions);
        for (std::size_t row = 0; row < decisions.size(); ++row) {
            Decision& decision = decisions[row];
            const TokenId token = decision.drawn.token;
            decision.stop_token = std::ranges::find(stop_tokens(), token) != stop_tokens().end();
            decision.ends = decision.stop_token;
            if (!decision.ends && options_.ends) {
                auto& tokens = active_[begin + row].result.tokens;
                tokens.push_back(token);
                decision.ends = options_.ends(tokens);
                tokens.pop_back();
            }
        }
    }

    void draw_each(const at::Tensor& logits, std::size_t begin, std::vector<Decision>& decisions) {
        const auto vocabulary = static_cast<std::size_t>(logits.size(1));
        at::parallel_for(0, static_cast<std::int64_t>(decisions.size()), 1,
                         [&](std::int64_t first, std::int64_t last) {
                             for (auto row = static_cast<std::size_t>(first);
                                  row < static_cast<std::size_t>(last); ++row)
                                 decisions[row].drawn = draw_row(
                                     {logits.data_ptr<float>() + row * vocabulary, vocabulary},
                                     active_[begin + row]);
                         });
    }

    void draw_together(const at::Tensor& logits, std::size_t begin,
                       std::vector<Decision>& decisions) {
        std::vector<double> uniforms;
        std::vector<std::int64_t> forbids;
        for (std::size_t row = 0; row < decisions.size(); ++row) {
            uniforms.push_back(uniform(active_[begin + row]));
            forbids.push_back(is_short_yet(active_[begin + row]) ? 1 : 0);
        }
        const auto drawn = draw_tokens(logits, options_.sampling, uniforms, stop_tokens(), forbids);
        for (std::size_t row = 0; row < decisions.size(); ++row)
            decisions[row].drawn = drawn[row];
    }

    double uniform(const Active& sequence) const {
        return run_.queue[sequence.request].stream.uniform(sequence.result.tokens.size());
    }
    bool is_short_yet(const Active& sequence) const {
        return std::ssize(sequence.result.tokens) < options_.min_new_tokens;
    }

    DrawnToken draw_row(std::span<const float> logits, const Active& sequence) const {
        return draw_token(
            logits, options_.sampling, uniform(sequence),
            {.prompt = run_.queue[sequence.request].prompt,
             .generated = sequence.result.tokens,
             .forbidden = is_short_yet(sequence) ? stop_tokens() : std::span<const TokenId>()});
    }

    static void take(GeneratedTokens& result, const Decision& decision) {
        const double log_probability = decision.drawn.log_probability;
        result.token_logprobs.push_back(static_cast<float>(log_probability));
        result.logprob += log_probability;
        if (decision.stop_token)
            result.stop_token = decision.drawn.token;
        else
            result.tokens.push_back(decision.drawn.token);
        if (decision.ends)
            result.finish_reason = FinishReason::stop;
    }

    bool finished(const Active& sequence) const {
        return sequence.result.finish_reason == FinishReason::stop ||
               static_cast<std::int64_t>(sequence.result.tokens.size()) >=
                   run_.queue[sequence.request].max_new_tokens;
    }

    /// Gives finished sequences away; the last slots move into the gaps.
    void retire() {
        for (std::size_t i = active_.size(); i-- > 0;) {
            if (!finished(active_[i]))
                continue;
            run_.calls.done(active_[i].request, std::move(active_[i].result));
            run_.queue.finish(active_[i].request);
            if (i + 1 != active_.size()) {
                cache_.copy_slot(static_cast<std::int64_t>(active_.size()) - 1,
                                 static_cast<std::int64_t>(i));
                active_[i] = std::move(active_.back());
            }
            active_.pop_back();
        }
    }

    std::span<const TokenId> stop_tokens() const { return run_.generator.stop_tokens(); }

    GeneratorRun& run_;
    const CausalLm& model_;
    const GeneratorOptions& options_;
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

std::int64_t Generator::slots(std::int64_t extent, std::size_t sequences) const {
    const std::uint64_t each =
        cache_bytes_per_token(model_.config(), model_.dtype()) * static_cast<std::uint64_t>(extent);
    const std::uint64_t fit = options_.cache_bytes == 0
                                  ? static_cast<std::uint64_t>(options_.batch_size)
                                  : options_.cache_bytes / each;
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
                                         const Done& done, const std::function<bool()>& keep_going,
                                         const RequestSource<GenerationRequest>& more) const {
    const c10::AutoGradMode no_gradients(false);
    check(requests);
    const bool apart = options_.deterministic;
    GeneratorRun run{
        *this,
        {done, keep_going, more},
        RequestQueue(apart ? RequestQueue::Extents::apart : RequestQueue::Extents::shared)};
    run.queue.add({requests.begin(), requests.end()});
    std::int64_t extent = 0;
    while (run.queue.waiting() > 0 ||
           (run.goes_on(0, static_cast<std::size_t>(options_.batch_size), true) &&
            run.queue.waiting() > 0)) {
        // Shared extents only grow, so that what comes later seldom waits for a larger cache.
        const std::int64_t needed = run.queue.next_extent();
        extent = apart ? needed : std::max(extent, needed);
        const std::size_t sequences =
            more ? static_cast<std::size_t>(options_.batch_size) : run.queue.fitting(extent);
        if (!Decoder(run, slots(extent, sequences), extent).decode_all())
            break;
    }
    return run.statistics;
}

}  // namespace popalign::lm
