#pragma once

#include <popalign/lm/judge/judging.hpp>
#include <popalign/store/journal/journalled_map.hpp>

#include <cstdint>
#include <string>

namespace popalign::lm {

/// A judgement as journals hold it.
struct JudgementEntry {
    std::uint64_t instruction_hash = 0;
    std::string content_key;
    Judgement value;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& instruction_hash& content_key& value;
    }
    store::MapKey key() const { return {instruction_hash, content_key}; }
};
using JudgementCache = store::JournalledMap<JudgementEntry>;

/// Hashes the judge and all that it is shown. Queries about one instruction lie on one rank, for
/// their prompts share a beginning.
store::MapKey judgement_key(const JudgeKey& judge, const JudgeQuery& query);

}  // namespace popalign::lm
