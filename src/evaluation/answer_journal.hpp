#pragma once

#include <popalign/base/random.hpp>
#include <popalign/store/journal/journalled_map.hpp>

#include <string>

namespace popalign::evaluation {

/// A benchmark answer in a journal. Its key is the SHA-256 of everything that determines it.
struct AnswerEntry {
    std::string content_key, value;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& content_key& value;
    }
    store::MapKey key() const { return {stable_hash(content_key), content_key}; }
};
using AnswerJournal = store::JournalledMap<AnswerEntry>;

}  // namespace popalign::evaluation
