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

/// Weights that are loaded for inference by a group of ranks, as its leader sees them: no call here
/// needs the other ranks of the group, which follow. One model at a time: loading another is the
/// end of the one before.
class GroupModel {
  public:
    /// Collective over the leaders of the node. `device` as in `select_device`.
    GroupModel(const ModelRanks& ranks, const std::string& path, at::ScalarType dtype,
               const std::string& device);

    at::Device device() const noexcept { return model_->device(); }
    /// As Generator::generate.
    GenerationStatistics generate(std::span<const GenerationRequest> requests,
                                  const std::vector<TokenId>& stop_tokens,
                                  const GeneratorOptions& options,
                                  const std::function<void(std::size_t, GeneratedTokens)>& done,
                                  const std::function<bool()>& keep_going,
                                  const More<GenerationRequest>& more) const;
    /// As the function of this name.
    void score_next_token(std::span<const std::vector<TokenId>> prompts,
                          std::span<const TokenId> candidates, std::int64_t token_budget,
                          const std::function<void(std::size_t, std::vector<float>)>& done) const;

  private:
    ModelRanks ranks_;
    std::shared_ptr<const CausalLm> model_;
};

/// What a follower does until its leader has no more use for it.
void follow(const ModelRanks& ranks);
/// For leaders: ends that.
void dismiss_followers(const ModelRanks& ranks);

}  // namespace popalign::lm
