#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/record/verdict.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace popalign::store {

/// Replaces /verdicts (all judges) in a copy of the file that then takes its place. Each rank gives
/// its share; rows are ordered by judge, pair, order. Collective.
void write_verdicts(const comm::Communicator& comm, const std::filesystem::path& path,
                    const std::vector<JudgeRow>& judges, const std::vector<Verdict>& mine);

/// Adds or replaces /reference/<key> likewise; `reference` is complete and equal on all ranks.
/// Collective.
void write_reference(const comm::Communicator& comm, const std::filesystem::path& path,
                     const std::string& key, const PairFile::Reference& reference);

}  // namespace popalign::store
