#pragma once

#include <popalign/record/instruction.hpp>
#include <popalign/record/verdict.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign {

/// A question to a judge: which of two answers to an instruction is better, or how good `first` is
/// alone. The other fields are empty where there is no known good answer and no second turn.
struct JudgeQuery {
    std::string instruction, first, second;
    std::string reference = {};
    std::string instruction_2 = {}, first_2 = {}, second_2 = {}, reference_2 = {};
    /// The instruction turn by turn, where it is a transcript; empty: one turn of the user.
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
/// The same answers in the other order.
JudgeQuery swapped(JudgeQuery query);

enum class Outcome : std::uint8_t {
    second = 0,
    first = 1,
    tie = 2,
    abstained = 3,  ///< it would not choose
    unparsed = 4    ///< what it said could not be read
};

struct Judgement {
    Outcome outcome = Outcome::unparsed;
    double probability = 0.5;  ///< that the answer shown first is the better one
    std::int64_t games = 1;    ///< what the verdict counts for: Arena-Hard's A>>B three
    double rating = 0;         ///< 1 to 10, where the template asks for one; else 0
    std::string raw;           ///< what the judge said, or the log-probabilities it gave

    bool valid() const noexcept {
        return outcome != Outcome::abstained && outcome != Outcome::unparsed;
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& outcome& probability& games& rating& raw;
    }
    bool operator==(const Judgement&) const = default;
};

/// The judgement of log-odds [nat] that the answer shown first is better.
Judgement judgement_of(double log_odds);

/// What a judgement says of a pair whose chosen answer was shown first, or second. A verdict that
/// would not choose is a tie without a probability (NaN). `pair` and `judge` are the caller's to
/// fill in.
Verdict verdict_of(const Judgement& judgement, AnswerOrder order);

}  // namespace popalign
