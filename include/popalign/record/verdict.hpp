#pragma once

#include <cstdint>
#include <string>

namespace popalign {

enum class AnswerOrder : std::uint8_t { chosen_first = 0, rejected_first = 1 };
enum class VerdictLabel : std::uint8_t { rejected = 0, chosen = 1, tie = 2 };

/// Judgement of one pair by one judge, in one order.
struct Verdict {
    std::uint64_t pair = 0;   ///< row of /pairs
    std::uint32_t judge = 0;  ///< row of /verdicts/judges
    AnswerOrder order = AnswerOrder::chosen_first;
    VerdictLabel label = VerdictLabel::tie;
    double probability = 0.5;  ///< that the chosen answer is the better one
    std::string raw;           ///< the judge's text, or its log-probabilities
    bool parsed = true;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& pair& judge& order& label& probability& raw& parsed;
    }
    bool operator==(const Verdict&) const = default;
};

}  // namespace popalign
