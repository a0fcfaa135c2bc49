#pragma once

#include <popalign/base/range.hpp>
#include <popalign/record/verdict.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <cstddef>

namespace popalign::test {

/// Small tables with texts that are easily damaged: empty ones, several bytes a letter, a long
/// config.
store::PairFileHeader sample_header();

/// Rows [rows.begin, rows.end) of a table of instructions, each with three responses and two pairs,
/// the same whoever asks.
store::PairBlock sample_block(Range instructions);

/// Two judges' verdicts, in both orders, of pairs [pairs.begin, pairs.end).
std::vector<store::JudgeRow> sample_judges();
std::vector<Verdict> sample_verdicts(Range pairs);

}  // namespace popalign::test
