#include "synthesis/response_ledger.hpp"

#include "support/temporary_directory.hpp"
#include "support/world.hpp"

#include <popalign/comm/collectives.hpp>

#include <gtest/gtest.h>

#include <fstream>

namespace popalign::synthesis {
namespace {

using test::world;

constexpr std::size_t instructions = 7, generations = 3;

/// The second generation answers the turn behind the first's.
GenerationPlan plan() {
    GenerationPlan result;
    result.generations.resize(generations);
    result.generations[1].previous = 0;
    return result;
}

Response made(std::uint64_t instruction, std::uint32_t generation) {
    Response response;
    response.instruction = instruction;
    response.generation = generation;
    response.text = std::to_string(instruction * 10 + generation);
    response.answer_tokens = 4 * generation;
    return response;
}

ResponseLedger open(const std::filesystem::path& directory) {
    return {world(), directory, instructions, plan(), [](auto, auto) { return true; }, Logger()};
}

TEST(ResponseLedger, ARestartOnAnyRanksKnowsWhatIsMade) {
    const test::TemporaryDirectory directory;
    // Another run, with three ranks of its own, wrote all but two responses, some of them twice.
    if (world().is_root())
        for (int rank = 0; rank < 3; ++rank) {
            store::JournalWriter journal(directory /
                                         ("rank-" + std::to_string(900 + rank) + ".journal"));
            for (std::uint64_t i = 0; i < instructions; ++i)
                for (std::uint32_t g = 0; g < generations; ++g)
                    if ((i != 4 || g == 0) && static_cast<int>((i + g) % 3) >= rank)
                        journal.append(store::encode_response(made(i, g)));
        }
    comm::barrier(world());
    {
        ResponseLedger ledger = open(directory.path());
        EXPECT_EQ(ledger.wanted(), instructions * generations);
        EXPECT_EQ(ledger.made_before(), instructions * generations - 2);
        for (std::uint64_t i = 0; i < instructions; ++i)
            for (std::uint32_t g = 0; g < generations; ++g)
                EXPECT_EQ(ledger.is_made(i, g), i != 4 || g == 0);
        EXPECT_EQ(ledger.text(4, 0), "40") << "any rank may answer the turn behind it";
        if (world().rank() == world().size() - 1) {
            ledger.add(made(4, 1));
            ledger.add(made(4, 2));
            EXPECT_TRUE(ledger.is_made(4, 1));
            EXPECT_FALSE(ledger.was_made(4, 1));
        }
        EXPECT_EQ(comm::all_reduce(world(), ledger.added(), comm::Reduction::sum), 2U);
        ledger.close();
    }
    comm::barrier(world());
    EXPECT_EQ(open(directory.path()).made_before(), instructions * generations);
}

TEST(ResponseLedger, KeepsATextUntilTheTurnsBehindItAreMade) {
    const test::TemporaryDirectory directory;
    ResponseLedger ledger = open(directory.path());
    ledger.add(made(1, 0));
    EXPECT_EQ(ledger.text(1, 0), "10");
    EXPECT_EQ(ledger.next_turns(0), std::vector<std::size_t>{1});
    ledger.add(made(1, 1));
    EXPECT_THROW(ledger.text(1, 0), std::out_of_range);
}

TEST(ResponseLedger, CountsWhatAnswersTook) {
    const test::TemporaryDirectory directory;
    if (world().is_root()) {
        store::JournalWriter journal(directory / "some.journal");
        for (std::uint64_t i = 0; i < instructions; ++i)
            journal.append(store::encode_response(made(i, 2)));
    }
    comm::barrier(world());
    ResponseLedger ledger = open(directory.path());
    EXPECT_EQ(ledger.earlier_tally()[2].answers, instructions);
    EXPECT_EQ(ledger.earlier_tally()[2].mean_answer_tokens(), 8.0);
    EXPECT_EQ(ledger.earlier_tally()[1].mean_bytes(), 0.0);
    ledger.add(made(0, 1));
    EXPECT_EQ(ledger.own_tally()[1].answer_tokens, 4U);
    EXPECT_EQ(sum_over_ranks(world(), ledger.own_tally())[1].answers,
              static_cast<std::uint64_t>(world().size()));
}

TEST(ResponseLedger, InMemoryNeedsNoFilesAndAsksForWhatIsNeeded) {
    ResponseLedger ledger(instructions, plan(),
                          [](std::uint64_t i, std::size_t g) { return i == 3 && g != 2; });
    EXPECT_EQ(ledger.wanted(), 2U);
    ledger.add(made(3, 0));
    EXPECT_EQ(ledger.text(3, 0), "30");
    ledger.sync();
    EXPECT_EQ(ledger.added(), 1U);
    EXPECT_FALSE(ledger.needs(3, 2));
}

TEST(ResponseLedger, ATornRecordIsMadeAgain) {
    const test::TemporaryDirectory directory;
    const auto path = store::journal_path(directory.path(), 0);
    if (world().is_root()) {
        {
            store::JournalWriter journal(path);
            journal.append(store::encode_response(made(0, 0)));
            journal.append(store::encode_response(made(0, 1)));
        }
        std::filesystem::resize_file(path, std::filesystem::file_size(path) - 3);
    }
    comm::barrier(world());
    EXPECT_EQ(open(directory.path()).made_before(), 1U);
}

}  // namespace
}  // namespace popalign::synthesis
