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

/// The better one of two answers, or a tie.
enum class Choice : std::int8_t { tie = 0, first = 1, second = 2 };

/// Two answers to an instruction, with people's labels.
struct LabelledPair {
    std::string instruction, first, second;
    std::vector<Choice> labels;  ///< one per person
    /// Returns the label that more than half of the people gave; nothing if there is none.
    std::optional<Choice> majority() const;
};

/// Reads labelled pairs. LLMBar: a list of {input, output_1, output_2, label}. PandaLM: a list of
/// {instruction, input, response1, response2, annotator1, ...}, 0 being a tie. `format` is llmbar
/// or pandalm. Throws UsageError or InputError.
std::vector<LabelledPair> read_labelled_pairs(const std::filesystem::path& path,
                                              const std::string& format);

/// A judge's verdicts on one pair: with the first answer shown first, and swapped. They name the
/// pair's answers, not the places shown; nothing where no verdict could be read.
using OrderedChoices = std::array<std::optional<Choice>, 2>;

/// Reads verdicts from LLMBar's result.json (the judge's words under `swap = False` and
/// `swap = True`), or from JSON Lines of {index, order, winner}, as `evaluate judge` writes them.
/// Throws InputError.
std::vector<OrderedChoices> read_verdicts(const std::filesystem::path& path, std::size_t pairs);

/// Agreement of a judge with people's labels, over the `n_valid` pairs that have a majority label
/// and a verdict in both orders.
struct JudgeWorth {
    std::uint64_t n = 0, n_valid = 0;
    std::uint64_t without_majority = 0, unparsed = 0;  ///< pairs left out, by reason
    double accuracy = 0;            ///< share of verdicts equal to the label, mean over both orders
    Interval interval;              ///< of `accuracy`: 95 % percentile bootstrap over pairs
    double agreement = 0;           ///< share of pairs with equal verdicts in both orders
    double kappa = 0;               ///< Cohen's, between verdicts and labels, both orders
    double order_kappa = 0;         ///< Cohen's, between the two orders
    double accuracy_by_order[2]{};  ///< first answer shown first; swapped
};

/// `seed` is the bootstrap's.
JudgeWorth worth_of(std::span<const LabelledPair> pairs, std::span<const OrderedChoices> verdicts,
                    std::uint64_t seed);

/// Agreement of people with each other: means over all pairs of people.
struct PeopleAgreement {
    std::size_t people = 0;
    double agreement = 0, kappa = 0;
    std::uint64_t n = 0, unanimous = 0, with_majority = 0;
    std::array<std::uint64_t, 3> majority{};  ///< pairs by their majority label: tie, first, second
};

PeopleAgreement agreement_of_people(std::span<const LabelledPair> pairs);

}  // namespace popalign::evaluation
