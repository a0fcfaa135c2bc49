#include <popalign/base/error.hpp>
#include <popalign/synthesis/synthesis_options.hpp>

namespace popalign::synthesis {

void SynthesisOptions::validate() const {
    sampling.validate();
    if (max_new_tokens < 1 || max_thought_tokens < 0 || max_input_tokens < 1 || batch_size < 1 ||
        merge_memory < 1 || parse_retries < 0 || plan_sample < 0)
        throw UsageError(
            "synthesis: max_new_tokens, max_input_tokens, batch_size and merge_memory must be at "
            "least 1 and max_thought_tokens, parse_retries and plan_sample at least 0");
    if (!(max_budget.cost >= 0 && max_budget.hours >= 0))
        throw UsageError("synthesis.max_budget: cost and hours must be at least 0");
}

}  // namespace popalign::synthesis
