#pragma once

#include <popalign/record/instruction.hpp>
#include <popalign/record/verdict.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign {

/// A question to a judge: which of two answers to an instruction is better, or how good `first` is
/// alone. The other fields are empty if there is no reference answer or no second turn.
struct JudgeQuery {
    std::string instruction, first, second;
    std::string reference = {};
    std::string instruction_2 = {}, first_2 = {}, second_2 = {}, reference_2 = {};
    /// The turns of the instruction if it is a transcript. Empty: a single user turn.
    std::vector<Message> dialogue = {};
    bool first_cut = false, second_cut = false;  ///< the answer did not end by itself

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& instruction& first& second& reference& instruction_2& first_2& second_2&
            reference_2& dialogue& first_cut& second_cut;
    }
    bool operator==(const JudgeQuery&) const = default;
};

JudgeQuery judge_query(const Instruction& instruction, std::string first, std::string second);
/// Returns the query with the answers in the other order.
JudgeQuery swapped(JudgeQuery query);

enum class Outcome : std::uint8_t {
    second = 0,
    first = 1,
    tie = 2,
    abstained = 3,  ///< the judge declined to choose
    unparsed = 4    ///< the judge's text could not be parsed
};

struct Judgement {
    Outcome outcome = Outcome::unparsed;
    double probability = 0.5;  ///< that the answer shown first is the better one
    std::int64_t games = 1;    ///< games that the verdict counts as: 3 for Arena-Hard's A>>B
    double rating = 0;         ///< 1 to 10 if the template asks for one, else 0
    std::string raw;           ///< the judge's text, or its log-probabilities

    bool valid() const noexcept {
        return outcome != Outcome::abstained && outcome != Outcome::unparsed;
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& outcome& probability& games& rating& raw;
    }
    bool operator==(const Judgement&) const = default;
};

/// Returns the judgement for the log-odds [nat] that the answer shown first is better.
Judgement judgement_of(double log_odds);

/// Converts a judgement to a verdict on a pair whose answers were shown in `order`. An abstained
/// judgement becomes a tie without a probability (NaN). The caller fills in `pair` and `judge`.
Verdict verdict_of(const Judgement& judgement, AnswerOrder order);

}  // namespace popalign
