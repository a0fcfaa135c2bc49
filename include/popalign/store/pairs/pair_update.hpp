#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/record/verdict.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace popalign::store {

/// Replaces /verdicts (of all judges) in a copy of the file, which then replaces the file. Each
/// rank passes its share; rows are sorted by judge, pair and order. Collective.
void write_verdicts(const comm::Communicator& comm, const std::filesystem::path& path,
                    const std::vector<JudgeRow>& judges, const std::vector<Verdict>& mine);

/// Adds or replaces /reference/<key> in the same way. `reference` is complete and equal on all
/// ranks. Collective.
void write_reference(const comm::Communicator& comm, const std::filesystem::path& path,
                     const std::string& key, const PairFile::Reference& reference);

}  // namespace popalign::store
