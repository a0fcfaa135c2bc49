#include "lm/judge/judgement_cache.hpp"

#include <popalign/base/hash.hpp>
#include <popalign/base/random.hpp>

#include <fmt/format.h>

namespace popalign::lm {

store::MapKey judgement_key(const JudgeKey& judge, const JudgeQuery& query) {
    std::string content;
    for (const std::string* part :
         {&judge.model_sha256, &judge.template_sha256, &query.instruction, &query.first,
          &query.second, &query.reference, &query.instruction_2, &query.first_2, &query.second_2,
          &query.reference_2})
        content += fmt::format("{}:{}", part->size(), *part);
    if (judge.template_sha256.empty()) {  // it reads the dialogue itself
        for (const Message& message : query.dialogue)
            content += fmt::format("{}{}:{}", role_name(message.role), message.content.size(),
                                   message.content);
        content += query.first_cut ? "cut" : "";
        content += query.second_cut ? ",cut" : "";
    }
    return {stable_hash(query.instruction), sha256_hex(content)};
}

}  // namespace popalign::lm
