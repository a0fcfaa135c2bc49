#include "support/temporary_directory.hpp"
#include "support/world.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_file.hpp>
#include <popalign/store/pairs/response_merge.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace popalign::store {
namespace {

using test::world;

constexpr std::uint64_t instructions = 60;
constexpr std::uint32_t generations = 3;

Instruction instruction(std::uint64_t row) {
    return {"id-" + std::to_string(row), "test", "Question " + std::to_string(row), Split::train};
}

Response response(std::uint64_t row, std::uint32_t generation) {
    Response made;
    made.instruction = row;
    made.generation = generation;
    made.text = std::string(row * 13 % 400, static_cast<char>('a' + generation));
    made.thought = row % 4 == 0 ? "because" : "";
    made.tokens.assign(row % 17, static_cast<std::int32_t>(row));
    made.logprob = -static_cast<double>(row);
    made.finish_reason = row % 5 == 0 ? FinishReason::length : FinishReason::stop;
    made.parsed = row % 3 != 0;
    made.seed = row * generations + generation;
    made.attempts = generation == 1 ? 2 : 1;
    made.prompt_tokens = row;
    made.answer_tokens = 2 * row;
    return made;
}

std::uint32_t flags_of(const Instruction& of, const Response& chosen, const Response& rejected) {
    EXPECT_EQ(of.text, "Question " + std::to_string(chosen.seed / generations));
    return chosen.text.size() == rejected.text.size() ? 1 : 2;
}

MergeInputs inputs_for(const std::filesystem::path& output) {
    MergeInputs inputs;
    inputs.output = output;
    inputs.header.provenance = "{}";
    inputs.header.models = {{"m", "", "", 0, "", ""}};
    inputs.header.generations = {{"a", 0, ""}, {"b", 0, ""}, {"c", 0, ""}};
    inputs.header.strategies = {{"first", "prompt", ""}, {"second", "prompt", ""}};
    inputs.instructions = instructions;
    inputs.instruction = instruction;
    inputs.pairs = {{0, 1, 0}, {0, 2, 1}};
    inputs.has_response = inputs.has_pair = [](std::uint64_t, std::size_t) { return true; };
    inputs.repeats = MergeInputs::Repeats::ignored;
    inputs.flags = flags_of;
    return inputs;
}

/// As `writers` ranks of an earlier run left them: some answers twice, all in disorder, none of
/// `absent`.
void write_journals(const std::filesystem::path& directory, int writers,
                    const std::set<std::uint64_t>& absent) {
    if (!world().is_root())
        return;
    for (int writer = 0; writer < writers; ++writer) {
        JournalWriter journal(journal_path(directory, writer));
        for (std::uint64_t i = 0; i < instructions * generations; ++i) {
            const std::uint64_t slot = i * 77 % (instructions * generations);
            const auto of = static_cast<int>(slot % static_cast<std::uint64_t>(writers));
            if (!absent.contains(slot) && (of == writer || (slot % 10 == 0 && writer == 0)))
                journal.append(encode_response(
                    response(slot / generations, static_cast<std::uint32_t>(slot % generations))));
        }
    }
}

MergeReport merge(const std::filesystem::path& directory, const MergeInputs& inputs) {
    comm::barrier(world());
    const ResponseIndex index(world(), directory, instructions, generations,
                              ResponseIndex::Writers::gone, Logger());
    return merge_responses(world(), index, inputs);
}

TEST(ResponseRecord, GivesBackWhatItWasGivenAndRefusesTheRest) {
    const Response made = response(8, 2);
    auto record = encode_response(made);
    EXPECT_EQ(decode_response(record), made);
    const ResponseKey key = read_response_key(record);
    EXPECT_EQ(key.instruction, 8U);
    EXPECT_EQ(key.generation, 2U);
    EXPECT_EQ(key.text_bytes, made.text.size());
    EXPECT_EQ(key.tokens, made.tokens.size());
    for (std::size_t size = 0; size < record.size(); ++size)
        EXPECT_THROW(decode_response(std::span(record).first(size)), Error) << size;
    record.push_back(std::byte{0});
    EXPECT_THROW(read_response_key(record), Error);
    record[0] = std::byte{9};
    EXPECT_THROW(decode_response(record), Error);
}

TEST(ResponseMerge, PutsEveryAnswerInItsRowWhoeverWroteIt) {
    const test::TemporaryDirectory directory;
    write_journals(directory.path(), 3, {});
    const MergeReport report = merge(directory.path(), inputs_for(directory / "pairs.h5"));
    EXPECT_EQ(report.responses, instructions * generations);
    EXPECT_EQ(report.pairs, 2 * instructions);
    EXPECT_EQ(
        comm::all_reduce<std::uint64_t>(world(), report.own_pairs.size(), comm::Reduction::sum),
        2 * instructions);
    EXPECT_EQ(report.retries, (std::vector<std::uint64_t>{0, instructions, 0}));
    const PairFile file(directory / "pairs.h5");
    ASSERT_EQ(file.response_count(), instructions * generations);
    for (std::uint64_t row = 0; row < file.response_count(); ++row)
        ASSERT_EQ(file.responses(Range{row, row + 1}).front(),
                  response(row / generations, static_cast<std::uint32_t>(row % generations)));
    const auto pairs = file.pairs({0, file.pair_count()});
    for (std::uint64_t i = 0; i < instructions; ++i) {
        EXPECT_EQ(file.instructions({i, i + 1}).front(), instruction(i));
        EXPECT_EQ(pairs[2 * i], (PreferencePair{i, 0, 3 * i, 3 * i + 1, 1}));
        EXPECT_EQ(pairs[2 * i + 1], (PreferencePair{i, 1, 3 * i, 3 * i + 2, 1}));
    }
    EXPECT_TRUE(file.verify().empty());
}

/// The bytes depend neither on who wrote the journals, nor on who merges, nor on the memory.
TEST(ResponseMerge, IsTheSameInSmallWindowsAndFromOtherJournals) {
    const test::TemporaryDirectory directory, others;
    write_journals(directory.path(), 3, {});
    write_journals(others.path(), 7, {});
    merge(directory.path(), inputs_for(directory / "pairs.h5"));
    MergeInputs small = inputs_for(directory / "small.h5");
    small.memory_bytes = 1;  // one instruction at a time
    merge(others.path(), small);
    const auto whole = read_text_file(directory / "pairs.h5");
    EXPECT_TRUE(whole == read_text_file(directory / "small.h5"));
    if (world().is_root()) {
        const ResponseIndex index({}, directory.path(), instructions, generations,
                                  ResponseIndex::Writers::gone, Logger());
        merge_responses({}, index, inputs_for(directory / "alone.h5"));
        EXPECT_TRUE(whole == read_text_file(directory / "alone.h5"));
    }
    comm::barrier(world());
}

TEST(ResponseMerge, GivesAConsistentPartOfARunThatGoesOn) {
    const test::TemporaryDirectory directory;
    // Instruction 0 has nothing, 1 only its second pair, 2 answers but no pair.
    write_journals(directory.path(), 2, {0, 1, 2, 4, 6});
    MergeInputs inputs = inputs_for(directory / "pairs.h5");
    EXPECT_THROW(merge(directory.path(), inputs), comm::AgreedError);
    EXPECT_FALSE(std::filesystem::exists(directory / "pairs.h5"));
    inputs.missing = MergeInputs::Missing::left_out;
    const MergeReport report = merge(directory.path(), inputs);
    EXPECT_EQ(report.responses, instructions * generations - 5);
    EXPECT_EQ(report.pairs, 2 * instructions - 5);
    const PairFile file(directory / "pairs.h5");
    EXPECT_TRUE(file.verify().empty());
    ASSERT_EQ(file.instruction_count(), instructions - 2);
    EXPECT_EQ(file.instructions({0, 1}).front(), instruction(1));
    EXPECT_EQ(file.instructions({1, 2}).front(), instruction(3));
    EXPECT_EQ(file.pairs({0, 1}).front(), (PreferencePair{0, 1, 0, 1, 1}));
    EXPECT_EQ(file.pairs({1, 2}).front(), (PreferencePair{1, 0, 2, 3, 1}));
    EXPECT_EQ(file.responses(Range{1, 2}).front().text, response(1, 2).text);
}

/// Where a strategy covers a part of the instructions, the others have rows without its pairs.
TEST(ResponseMerge, MakesOnlyThePairsThatARunWants) {
    const test::TemporaryDirectory directory;
    std::set<std::uint64_t> absent;
    for (std::uint64_t i = 1; i < instructions; i += 2)
        absent.insert(generations * i + 2);
    write_journals(directory.path(), 2, absent);
    MergeInputs inputs = inputs_for(directory / "pairs.h5");
    inputs.has_response = [](std::uint64_t i, std::size_t g) { return g != 2 || i % 2 == 0; };
    inputs.has_pair = [](std::uint64_t i, std::size_t p) { return p == 0 || i % 2 == 0; };
    const MergeReport report = merge(directory.path(), inputs);
    EXPECT_EQ(report.wanted, instructions * 5 / 2);
    EXPECT_EQ(report.pairs, instructions * 3 / 2);
    const PairFile file(directory / "pairs.h5");
    EXPECT_EQ(file.instruction_count(), instructions);
    EXPECT_EQ(file.pairs({2, 3}).front(), (PreferencePair{1, 0, 3, 4, 1}));
    EXPECT_TRUE(file.verify().empty());
}

/// Flags that need all rows do not depend on the windows either.
TEST(ResponseMerge, FlagsRepeatsAcrossWindows) {
    const test::TemporaryDirectory directory;
    write_journals(directory.path(), 3, {});
    MergeInputs inputs = inputs_for(directory / "whole.h5");
    inputs.repeats = MergeInputs::Repeats::flagged;
    const MergeReport whole = merge(directory.path(), inputs);
    inputs.output = directory / "parts.h5";
    inputs.memory_bytes = 1;
    merge(directory.path(), inputs);
    EXPECT_TRUE(read_text_file(directory / "whole.h5") == read_text_file(directory / "parts.h5"));
    const auto repeated = static_cast<std::uint32_t>(PairFlag::repeated_answer);
    std::uint64_t flagged = 0;
    for (const PreferencePair& pair : whole.own_pairs)
        flagged += (pair.flags & repeated) != 0 ? 1 : 0;
    EXPECT_GT(comm::all_reduce(world(), flagged, comm::Reduction::sum), 0U);
}

TEST(ResponseMerge, HoldsNothingWhereNothingIsMade) {
    const test::TemporaryDirectory directory;
    MergeInputs inputs = inputs_for(directory / "pairs.h5");
    inputs.missing = MergeInputs::Missing::left_out;
    EXPECT_EQ(merge(directory.path() / "absent", inputs).pairs, 0U);
    EXPECT_EQ(PairFile(directory / "pairs.h5").pair_count(), 0U);
}

TEST(ResponseIndex, RefusesAnotherRunsJournalOnAllRanks) {
    const test::TemporaryDirectory directory;
    if (world().is_root())
        JournalWriter(directory / "x.journal").append(encode_response(response(99, 0)));
    comm::barrier(world());
    EXPECT_THROW(ResponseIndex(world(), directory.path(), instructions, generations,
                               ResponseIndex::Writers::gone, Logger()),
                 comm::AgreedError);
}

}  // namespace
}  // namespace popalign::store
