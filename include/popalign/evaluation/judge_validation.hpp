#pragma once

#include <popalign/base/resampling.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::evaluation {

/// Which of two answers is the better one.
enum class Choice : std::int8_t { tie = 0, first = 1, second = 2 };

/// Two answers to an instruction, and what people say of them.
struct LabelledPair {
    std::string instruction, first, second;
    std::vector<Choice> labels;  ///< one a person
    /// What most of them say; nothing where no label has most.
    std::optional<Choice> majority() const;
};

/// LLMBar: a list of {input, output_1, output_2, label}. PandaLM: a list of {instruction, input,
/// response1, response2, annotator1, ...}, 0 being a tie. `format` is llmbar or pandalm. Throws
/// UsageError or InputError.
std::vector<LabelledPair> read_labelled_pairs(const std::filesystem::path& path,
                                              const std::string& format);

/// A judge's verdicts of one pair: with the first answer shown first, and swapped. They name the
/// pair's answers, not their places; nothing where it said none that could be read.
using OrderedChoices = std::array<std::optional<Choice>, 2>;

/// LLMBar's result.json (the judge's words behind `swap = False` and `swap = True`), or JSON Lines
/// of {index, order, winner}, as `evaluate judge` writes them. Throws InputError.
std::vector<OrderedChoices> read_verdicts(const std::filesystem::path& path, std::size_t pairs);

/// What a judge is worth beside people's labels. Of pairs with a majority label and a verdict in
/// both orders.
struct JudgeWorth {
    std::uint64_t n = 0, n_valid = 0;
    std::uint64_t without_majority = 0, unparsed = 0;  ///< why the others are left out
    double accuracy = 0;            ///< mean over both orders of what agrees with the label
    Interval interval;              ///< its 95 % percentile bootstrap over pairs
    double agreement = 0;           ///< share of pairs whose verdict does not depend on the order
    double kappa = 0;               ///< Cohen's, of the verdicts and the labels, both orders
    double order_kappa = 0;         ///< Cohen's, of the two orders
    double accuracy_by_order[2]{};  ///< first answer shown first; swapped
};

JudgeWorth worth_of(std::span<const LabelledPair> pairs, std::span<const OrderedChoices> verdicts,
                    std::uint64_t seed);

/// How far people agree with each other: means over all two of them.
struct PeopleAgreement {
    std::size_t people = 0;
    double agreement = 0, kappa = 0;
    std::uint64_t n = 0, unanimous = 0, with_majority = 0;
    std::array<std::uint64_t, 3> majority{};  ///< pairs by their majority label: tie, first, second
};

PeopleAgreement agreement_of_people(std::span<const LabelledPair> pairs);

}  // namespace popalign::evaluation
