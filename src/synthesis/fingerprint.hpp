#pragma once

#include <popalign/base/fingerprint.hpp>
#include <popalign/synthesis/synthesis_options.hpp>

namespace popalign::synthesis {

struct SynthesisSetup;

/// All that decides the answers of a run: journals of another one must not be mixed in. Keys with
/// their default are not in it. `setup` has plan, instructions and models.
Fingerprint answers_fingerprint(const SynthesisInputs& inputs, const SynthesisSetup& setup);

/// And what decides, besides the answers, what is in the pair file.
Fingerprint pair_file_fingerprint(const SynthesisInputs& inputs, const SynthesisSetup& setup);

}  // namespace popalign::synthesis
