#pragma once

#include <string>

namespace popalign {

std::string version();        ///< e.g. "0.1.0"
std::string build_summary();  ///< version, commit, compiler, libraries: one line

/// Returns how an output was made, as JSON: version, commit, compiler, host, time, ranks, command.
/// Because of the time, it is the only part of an output that differs between equal runs.
std::string provenance_json(int ranks, const std::string& command);

}  // namespace popalign
