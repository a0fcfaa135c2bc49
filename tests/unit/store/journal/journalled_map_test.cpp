#include <popalign/base/random.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/journal/journalled_map.hpp>

#include <gtest/gtest.h>
#include <support/temporary_directory.hpp>
#include <support/world.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

namespace popalign::store {
namespace {

using test::world;

struct Entry {
    std::string name, value;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& name& value;
    }
    MapKey key() const { return {stable_hash(name), name}; }
};
using Map = JournalledMap<Entry>;

Logger quiet() {
    return {world().rank(), world().size(), LogLevel::error};
}

Map open_map(const comm::Communicator& comm, const std::filesystem::path& folder) {
    return {comm, folder, 4, quiet()};
}

constexpr int entries_of_rank = 10;

Entry entry(int rank, int i) {
    const std::string name = std::to_string(rank) + "/" + std::to_string(i);
    return {name, "value of " + name};
}

void add_mine(Map& map) {
    for (int i = 0; i < entries_of_rank; ++i)
        map.add(entry(world().rank(), i));
}

/// Keys of what the next rank adds.
std::vector<MapKey> keys_of_next() {
    std::vector<MapKey> keys;
    for (int i = 0; i < entries_of_rank; ++i)
        keys.push_back(entry((world().rank() + 1) % world().size(), i).key());
    return keys;
}

void expect_all(Map& map) {
    const auto keys = keys_of_next();
    const auto values = map.find_on_all(keys);
    ASSERT_EQ(values.size(), keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
        ASSERT_TRUE(values[i].has_value()) << keys[i].text;
        EXPECT_EQ(*values[i], "value of " + keys[i].text);
    }
}

TEST(JournalledMap, FindsOnAllRanksWhatAnyAdded) {
    const test::TemporaryDirectory directory;
    for (const auto& folder : {std::filesystem::path(), directory / "journals"}) {
        Map map = open_map(world(), folder);
        EXPECT_FALSE(map.find_on_all(keys_of_next())[0].has_value());
        add_mine(map);
        expect_all(map);
        EXPECT_FALSE(map.find_on_all(std::vector{MapKey{7, "unknown"}})[0].has_value());
        const Entry mine = entry(world().rank(), 0);
        const bool held = map.rank_of(mine.key()) == static_cast<std::size_t>(world().rank());
        EXPECT_EQ(map.find(mine.name) != nullptr, held) << "a rank looks among its own";
    }
}

TEST(JournalledMap, GoesOnOnAnotherNumberOfRanks) {
    const test::TemporaryDirectory directory;
    {
        Map map = open_map(world(), directory / "journals");
        add_mine(map);
        map.add({"0/0", "added again, and not taken"});
    }
    comm::barrier(world());
    comm::run_on_all(world(), [&] {
        if (!world().is_root())
            return;
        Map alone = open_map(comm::Communicator(), directory / "journals");
        for (int rank = 0; rank < world().size(); ++rank)
            for (int i = 0; i < entries_of_rank; ++i)
                ASSERT_NE(alone.find(entry(rank, i).name), nullptr);
        alone.add({"alone", "one"});
    });
    Map map = open_map(world(), directory / "journals");
    expect_all(map);
    EXPECT_TRUE(map.find_on_all(std::vector{Entry{"alone", {}}.key()})[0].has_value());
}

TEST(JournalledMap, LosesNothingWhenItsWriterIsKilled) {
    const test::TemporaryDirectory directory;
    comm::run_on_all(world(), [&] {
        const pid_t child = ::fork();
        if (child == 0) {  // writes as this rank does, and is killed behind its last entry
            JournalWriter journal(journal_of_rank(world(), directory / ""));
            for (int i = 0; i < entries_of_rank; ++i)
                journal.append(comm::to_bytes(entry(world().rank(), i)));
            ::raise(SIGKILL);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status));
    });
    Map map = open_map(world(), directory / "");
    expect_all(map);
}

TEST(JournalledMap, LeavesOutATornTailAndGoesOn) {
    const test::TemporaryDirectory directory;
    const auto folder = directory / "journals";
    {
        Map map = open_map(world(), folder);
        add_mine(map);
    }
    std::ofstream(journal_of_rank(world(), folder), std::ios::app) << "half a record";
    comm::barrier(world());
    {
        Map map = open_map(world(), folder);
        expect_all(map);
        map.add({"later " + std::to_string(world().rank()), "whole"});
    }
    Map map = open_map(world(), folder);
    expect_all(map);
    const auto key = Entry{"later " + std::to_string(world().rank()), {}}.key();
    EXPECT_EQ(map.find_on_all(std::vector{key})[0], "whole");
}

}  // namespace
}  // namespace popalign::store
