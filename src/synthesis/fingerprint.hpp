#pragma once

#include <popalign/base/fingerprint.hpp>
#include <popalign/synthesis/synthesis_options.hpp>

namespace popalign::synthesis {

struct SynthesisSetup;

/// Returns everything that decides a run's answers; journals with another fingerprint must not be
/// mixed in. Keys with their default value are left out. `setup` must have plan, instructions and
/// models.
Fingerprint answers_fingerprint(const SynthesisInputs& inputs, const SynthesisSetup& setup);

/// Returns everything else that decides the pair file's contents, besides the answers.
Fingerprint pair_file_fingerprint(const SynthesisInputs& inputs, const SynthesisSetup& setup);

}  // namespace popalign::synthesis
