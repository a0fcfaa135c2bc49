#pragma once

#include <string>

namespace popalign {

std::string version();        ///< e.g. "0.1.0"
std::string build_summary();  ///< version, commit, compiler, libraries: one line

/// How an output came about, as JSON: version, commit, compiler, host, time, ranks, command. Times
/// make it the one part of an output that differs between equal runs.
std::string provenance_json(int ranks, const std::string& command);

}  // namespace popalign
