#include "synthesis/response_ledger.hpp"

#include "support/temporary_directory.hpp"
#include "support/world.hpp"

#include <popalign/comm/objects.hpp>

#include <gtest/gtest.h>

#include <fstream>

namespace popalign {
namespace {

using test::world;

constexpr std::size_t instructions = 7, generations = 3;

bool all(std::size_t, std::size_t) {
    return true;
}

Response made(std::uint64_t instruction, std::uint32_t generation) {
    Response response;
    response.instruction = instruction;
    response.generation = generation;
    response.text = std::to_string(instruction * 10 + generation);
    return response;
}

TEST(ResponseLedger, ARestartOnAnyRanksFindsWhatIsMade) {
    const test::TemporaryDirectory directory;
    // Another run, with three ranks of its own, wrote all but one response, some of them twice.
    if (world().is_root())
        for (int rank = 0; rank < 3; ++rank) {
            JournalWriter journal(directory / ("rank-" + std::to_string(900 + rank) + ".journal"));
            for (std::uint64_t i = 0; i < instructions; ++i)
                for (std::uint32_t g = 0; g < generations; ++g)
                    if ((i != 4 || g != 1) && static_cast<int>((i + g) % 3) >= rank)
                        journal.append(to_bytes(made(i, g)));
        }
    barrier(world());
    ResponseLedger ledger(world(), directory.path(), instructions, generations, all, Logger());
    const auto left =
        all_reduce<std::uint64_t>(world(), ledger.wanted() - ledger.made(), Reduction::sum);
    EXPECT_EQ(left, 1U);
    const Range rows = ledger.rows();
    for (std::uint64_t i = rows.begin; i < rows.end; ++i)
        for (std::uint32_t g = 0; g < generations; ++g) {
            if (i == 4 && g == 1) {
                EXPECT_FALSE(ledger.find(i, g));
                ledger.add(made(i, g));
            }
            ASSERT_TRUE(ledger.find(i, g));
            EXPECT_EQ(*ledger.find(i, g), made(i, g));
        }
    EXPECT_EQ(ledger.take().size(), rows.size() * generations);
}

TEST(ResponseLedger, WantsWhatIsNeededAlone) {
    const test::TemporaryDirectory directory;
    barrier(world());
    const auto needs = [](std::size_t instruction, std::size_t generation) {
        return generation == 0 || instruction % 2 == 0;
    };
    ResponseLedger ledger(world(), directory.path(), instructions, generations, needs, Logger());
    EXPECT_EQ(all_reduce<std::uint64_t>(world(), ledger.wanted(), Reduction::sum), 7U + 2 * 4);
    for (std::size_t i = ledger.rows().begin; i < ledger.rows().end; ++i)
        for (std::uint32_t g = 0; g < generations; ++g)
            if (needs(i, g))
                ledger.add(made(i, g));
    EXPECT_EQ(ledger.made(), ledger.wanted());
    EXPECT_EQ(ledger.take().size(), ledger.wanted());
}

TEST(ResponseLedger, ATornRecordIsMadeAgain) {
    const test::TemporaryDirectory directory;
    const auto path = directory / "rank-000000.journal";
    if (world().is_root()) {
        {
            JournalWriter journal(path);
            journal.append(to_bytes(made(0, 0)));
            journal.append(to_bytes(made(0, 1)));
        }
        std::filesystem::resize_file(path, std::filesystem::file_size(path) - 3);
    }
    barrier(world());
    ResponseLedger ledger(world(), directory.path(), instructions, generations, all, Logger());
    EXPECT_EQ(all_reduce<std::uint64_t>(world(), ledger.made(), Reduction::sum), 1U);
}

TEST(ResponseLedger, AnotherPlansJournalIsRefusedByAllRanks) {
    const test::TemporaryDirectory directory;
    if (world().is_root())
        JournalWriter(directory / "rank-000000.journal").append(to_bytes(made(99, 0)));
    barrier(world());
    EXPECT_THROW(
        ResponseLedger(world(), directory.path(), instructions, generations, all, Logger()), Error);
}

}  // namespace
}  // namespace popalign
