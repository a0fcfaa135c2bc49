#pragma once

#include <popalign/lm/engine/generator.hpp>
#include <popalign/lm/engine/model_ranks.hpp>
#include <popalign/lm/engine/occupancy.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/record/token.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace popalign::lm {

/// A model whose weights the ranks of a group hold together, for inference. The group's leader
/// alone calls it; the other ranks are in `serve_as_follower`. A group holds one model at a time:
/// loading another ends the one before.
class TensorParallelModel {
  public:
    /// Collective over the leaders of the node. `device` as in `select_device`.
    TensorParallelModel(const ModelRanks& ranks, const std::string& path, at::ScalarType dtype,
                        const std::string& device);

    at::Device device() const noexcept { return model_->device(); }
    /// As Generator::generate.
    GenerationStatistics generate(std::span<const GenerationRequest> requests,
                                  const std::vector<TokenId>& stop_tokens,
                                  const GeneratorOptions& options,
                                  const std::function<void(std::size_t, GeneratedTokens)>& done,
                                  const std::function<bool()>& keep_going,
                                  const RequestSource<GenerationRequest>& more) const;
    /// As the function of this name.
    void score_next_token(std::span<const std::vector<TokenId>> prompts,
                          std::span<const TokenId> candidates, std::int64_t token_budget,
                          const std::function<void(std::size_t, std::vector<float>)>& done) const;

  private:
    ModelRanks ranks_;
    std::shared_ptr<const CausalLm> model_;
};

/// Repeats the leader's operations on this rank's slice until the leader releases it.
void serve_as_follower(const ModelRanks& ranks);
/// The leader's call that ends `serve_as_follower` on the other ranks of its group.
void release_followers(const ModelRanks& ranks);

}  // namespace popalign::lm
