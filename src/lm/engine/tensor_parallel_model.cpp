#include "lm/engine/tensor_parallel_model.hpp"

#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/engine/occupancy.hpp>
#include <popalign/lm/engine/scorer.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/lm/transformer/tensor_parallel.hpp>
#include <popalign/record/token.hpp>

#include <ATen/Parallel.h>

#include <exception>
#include <optional>

namespace popalign::lm {
namespace {

enum class Task { load, generate, score_next_token, leave };

/// Next task of a leader's followers.
struct Order {
    int task = static_cast<int>(Task::leave);
    std::string path, device;
    int dtype = 0;
    std::vector<std::vector<TokenId>> prompts;
    std::vector<std::int64_t> lengths;  ///< of the answers, at most
    std::vector<TokenId> tokens;        ///< stop tokens, or candidates
    std::int64_t batch_size = 0, prefill_tokens = 0, token_budget = 0;
    std::uint64_t cache_bytes = 0;
    int deterministic = 0, streams = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& task& path& device& dtype& prompts& lengths& tokens& batch_size& prefill_tokens&
            token_budget& cache_bytes& deterministic& streams;
    }
};

void send_order(const ModelRanks& ranks, const Order& order) {
    comm::broadcast_object(ranks.group(), order);
}

CausalLm load_slice(const ModelRanks& ranks, const Order& order) {
    // All ranks of the node load together, so they also learn together of what fails.
    const at::Device device = comm::run_on_all(
        ranks.node(), [&] { return select_device(order.device, ranks.node().rank()); });
    const TensorParallel parallel(ranks.group(), device);
    return load_for_inference(order.path, static_cast<at::ScalarType>(order.dtype), device,
                              ranks.node(), parallel);
}

void generate_slice(const CausalLm& model, const Order& order) {
    if (order.deterministic != 0)
        at::set_num_threads(1);
    std::vector<GenerationRequest> requests;
    for (std::size_t i = 0; i < order.prompts.size(); ++i)
        requests.push_back({order.prompts[i], order.lengths[i], RandomStream(0, "", "")});
    GeneratorOptions options;
    options.batch_size = order.batch_size;
    options.deterministic = order.deterministic != 0;
    options.cache_bytes = order.cache_bytes;
    options.prefill_tokens = order.prefill_tokens;
    RequestSource<GenerationRequest> more;  // what comes, comes from the leader
    if (order.streams != 0)
        more = [](const Occupancy&) { return std::vector<GenerationRequest>(); };
    Generator(model, order.tokens, options)
        .generate(
            requests, [](std::size_t, GeneratedTokens) {}, {}, more);
}

/// Keeps the first exception of the leader's callbacks until the followers are done: they would
/// wait for a leader that leaves early.
class DeferredError {
  public:
    template <class Work>
    void attempt(Work&& work) {
        if (error_)
            return;
        try {
            work();
        } catch (...) {
            error_ = std::current_exception();
        }
    }
    bool failed() const noexcept { return error_ != nullptr; }
    void rethrow() const {
        if (error_)
            std::rethrow_exception(error_);
    }

  private:
    std::exception_ptr error_;
};

/// Runs what all of the group run together. Nothing can bring back together ranks of which one
/// failed in the middle: the job ends.
template <class Work>
void run_together(const ModelRanks& ranks, Work&& work) {
    if (ranks.group().size() == 1)
        return work();
    try {
        work();
    } catch (const std::exception& error) {
        comm::abort_job(ranks.leaders(), error.what());
    }
}

}  // namespace

void serve_as_follower(const ModelRanks& ranks) {
    std::optional<CausalLm> model;
    for (;;) {
        const Order order = comm::broadcast_object(ranks.group(), Order());
        switch (static_cast<Task>(order.task)) {
            case Task::load:
                model.reset();
                try {
                    model.emplace(load_slice(ranks, order));
                } catch (const comm::AgreedError&) {  // the leader tells of it
                }
                break;
            case Task::generate:
                generate_slice(*model, order);
                break;
            case Task::score_next_token:
                score_next_token(*model, order.prompts, order.tokens, order.token_budget,
                                 [](std::size_t, const std::vector<float>&) {});
                break;
            case Task::leave:
                return;
        }
    }
}

void release_followers(const ModelRanks& ranks) {
    send_order(ranks, {});
}

TensorParallelModel::TensorParallelModel(const ModelRanks& ranks, const std::string& path,
                                         at::ScalarType dtype, const std::string& device)
    : ranks_(ranks) {
    Order order;
    order.task = static_cast<int>(Task::load);
    order.path = path;
    order.device = device;
    order.dtype = static_cast<int>(dtype);
    send_order(ranks_, order);
    model_ = std::make_shared<const CausalLm>(load_slice(ranks_, order));
}

GenerationStatistics TensorParallelModel::generate(
    std::span<const GenerationRequest> requests, const std::vector<TokenId>& stop_tokens,
    const GeneratorOptions& options, const std::function<void(std::size_t, GeneratedTokens)>& done,
    const std::function<bool()>& keep_going, const RequestSource<GenerationRequest>& more) const {
    const Generator generator(*model_, stop_tokens, options);
    if (ranks_.group().size() == 1)
        return generator.generate(requests, done, keep_going, more);
    generator.check(requests);
    Order order;
    order.task = static_cast<int>(Task::generate);
    for (const GenerationRequest& request : requests) {
        order.prompts.push_back(request.prompt);
        order.lengths.push_back(request.max_new_tokens);
    }
    order.tokens = stop_tokens;
    order.batch_size = options.batch_size;
    order.prefill_tokens = options.prefill_tokens;
    order.cache_bytes = options.cache_bytes;
    order.deterministic = options.deterministic ? 1 : 0;
    order.streams = more ? 1 : 0;
    send_order(ranks_, order);
    DeferredError failure;
    RequestSource<GenerationRequest> ask_more;
    if (more)
        ask_more = [&](const Occupancy& occupancy) {
            std::vector<GenerationRequest> added;
            failure.attempt([&] {
                added = more(occupancy);
                generator.check(added);
            });
            return failure.failed() ? std::vector<GenerationRequest>() : added;
        };
    GenerationStatistics statistics;
    run_together(ranks_, [&] {
        statistics = generator.generate(
            requests,
            [&](std::size_t index, GeneratedTokens result) {
                failure.attempt([&] { done(index, std::move(result)); });
            },
            [&] { return !failure.failed() && (!keep_going || keep_going()); }, ask_more);
    });
    failure.rethrow();
    return statistics;
}

void TensorParallelModel::score_next_token(
    std::span<const std::vector<TokenId>> prompts, std::span<const TokenId> candidates,
    std::int64_t token_budget,
    const std::function<void(std::size_t, std::vector<float>)>& done) const {
    Order order;
    order.task = static_cast<int>(Task::score_next_token);
    if (ranks_.group().size() > 1) {
        order.prompts.assign(prompts.begin(), prompts.end());
        order.tokens.assign(candidates.begin(), candidates.end());
        order.token_budget = token_budget;
        send_order(ranks_, order);
    }
    DeferredError failure;
    run_together(ranks_, [&] {
        popalign::lm::score_next_token(*model_, prompts, candidates, token_budget,
                                       [&](std::size_t index, std::vector<float> values) {
                                           failure.attempt([&] { done(index, std::move(values)); });
                                       });
    });
    failure.rethrow();
}

}  // namespace popalign::lm
