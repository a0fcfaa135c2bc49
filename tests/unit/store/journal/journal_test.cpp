#include "support/temporary_directory.hpp"
#include "unit/store/damage.hpp"

#include <popalign/base/error.hpp>
#include <popalign/store/journal/journal.hpp>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace popalign::store {
namespace {

constexpr std::size_t header_bytes = 16, frame_bytes = 16;

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

std::vector<std::string> records_of(const std::filesystem::path& path,
                                    JournalSummary* summary = nullptr) {
    std::vector<std::string> records;
    const auto found = read_journal(path, [&](const JournalRecord& record) {
        records.emplace_back(reinterpret_cast<const char*>(record.payload.data()),
                             record.payload.size());
        std::vector<std::byte> again(record.payload.size());
        JournalReader(path).read(record.offset, again);
        EXPECT_TRUE(std::ranges::equal(again, record.payload));
    });
    EXPECT_EQ(found.records, records.size());
    if (summary != nullptr)
        *summary = found;
    return records;
}

class JournalTest : public ::testing::Test {
  protected:
    void SetUp() override {
        JournalWriter writer(path_);
        for (const std::string& record : records_)
            writer.append(bytes_of(record));
        writer.sync();
        bytes_ = read_text_file(path_);
    }

    test::TemporaryDirectory directory_;
    std::filesystem::path path_ = directory_ / "journal";
    const std::vector<std::string> records_{"first", "", std::string(1000, 'x'), "last"};
    std::string bytes_;
};

TEST_F(JournalTest, GivesBackWhatWasAppended) {
    JournalSummary summary;
    EXPECT_EQ(records_of(path_, &summary), records_);
    EXPECT_EQ(summary.whole_bytes, bytes_.size());
    EXPECT_EQ(summary.torn_bytes, 0U);
    JournalWriter first(path_);
    JournalWriter moved = std::move(first);
    moved.append(bytes_of("more"));
    auto expected = records_;
    expected.emplace_back("more");
    EXPECT_EQ(records_of(path_), expected);
}

TEST_F(JournalTest, KeepsThePrefixWhereverItWasTorn) {
    std::vector<std::size_t> ends{header_bytes};
    for (const std::string& record : records_)
        ends.push_back(ends.back() + frame_bytes + record.size());
    ASSERT_EQ(ends.back(), bytes_.size());
    for (std::size_t size = 0; size < bytes_.size(); ++size) {
        test::overwrite(path_, bytes_.substr(0, size));
        const auto whole = std::ranges::upper_bound(ends, size) - ends.begin() - 1;
        auto expected = records_;
        expected.resize(static_cast<std::size_t>(std::max<std::ptrdiff_t>(whole, 0)));
        ASSERT_EQ(records_of(path_), expected) << size;
        JournalWriter(path_).append(bytes_of("next"));
        expected.emplace_back("next");
        ASSERT_EQ(records_of(path_), expected) << size;
    }
}

TEST_F(JournalTest, TakesZerosAtTheEndForATornTail) {
    for (const std::size_t zeros : {1, 15, 16, 4096}) {
        test::overwrite(path_, bytes_ + std::string(zeros, '\0'));
        JournalSummary summary;
        EXPECT_EQ(records_of(path_, &summary), records_) << zeros;
        EXPECT_EQ(summary.torn_bytes, zeros);
    }
    write_text_file(path_, std::string(100, '\0'));
    EXPECT_TRUE(records_of(path_).empty());
}

/// A flipped bit loses the record it is in and no other, and does not go unnoticed.
TEST_F(JournalTest, LosesOneRecordToAFlippedBit) {
    std::vector<std::size_t> ends{header_bytes};
    for (const std::string& record : records_)
        ends.push_back(ends.back() + frame_bytes + record.size());
    for (std::size_t at = 0; at < bytes_.size(); ++at) {
        std::string damaged = bytes_;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
        test::overwrite(path_, damaged);
        if (at < header_bytes) {
            EXPECT_THROW(records_of(path_), Error) << at;
            EXPECT_THROW(JournalWriter{path_}, Error) << at;
            continue;
        }
        const auto hit = std::ranges::upper_bound(ends, at) - ends.begin() - 1;
        auto expected = records_;
        expected.erase(expected.begin() + hit);
        JournalSummary summary;
        EXPECT_EQ(records_of(path_, &summary), expected) << at;
        if (at < ends[records_.size() - 1]) {
            ASSERT_EQ(summary.damaged.size(), 1U) << at;
            EXPECT_EQ(summary.damaged[0].offset, ends[static_cast<std::size_t>(hit)]);
            EXPECT_EQ(summary.damaged[0].count,
                      frame_bytes + records_[static_cast<std::size_t>(hit)].size());
        } else {
            EXPECT_EQ(summary.torn_bytes, frame_bytes + records_.back().size());
        }
        JournalWriter(path_).append(bytes_of("next"));
        expected.emplace_back("next");
        EXPECT_EQ(records_of(path_), expected) << at;
    }
}

TEST_F(JournalTest, ReaderSeesWhatHasChanged) {
    std::uint64_t offset = 0;
    read_journal(path_, [&](const JournalRecord& record) {
        if (record.payload.size() == 1000)
            offset = record.offset;
    });
    const JournalReader reader(path_);
    std::vector<std::byte> payload(1000);
    reader.read(offset, payload);
    std::string damaged = bytes_;
    damaged[offset + 500] = 'y';
    test::overwrite(path_, damaged);
    EXPECT_THROW(reader.read(offset, payload), Error);
    std::filesystem::resize_file(path_, offset + 10);
    EXPECT_THROW(reader.read(offset, payload), Error);
}

/// Records that are longer than what is read at once, and a file that grows while it is read.
TEST_F(JournalTest, ReadsInPieces) {
    const std::string large(3'000'000, 'z');
    JournalWriter writer(path_);
    writer.append(bytes_of(large));
    writer.append(bytes_of("behind"));
    std::size_t seen = 0;
    read_journal(path_, [&](const JournalRecord&) {
        writer.append(bytes_of("later"));
        ++seen;
    });
    EXPECT_EQ(seen, records_.size() + 2);
    EXPECT_EQ(records_of(path_)[records_.size()], large);
}

TEST_F(JournalTest, HasOneWriter) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {  // holds the journal until it is killed
        const JournalWriter writer(path_);
        ::pause();
    }
    ::usleep(300'000);
    EXPECT_THROW(JournalWriter{path_}, Error);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_EQ(JournalWriter(path_).torn_bytes(), 0U);
}

TEST_F(JournalTest, NeverCrashesOnDamage) {
    test::read_damaged(path_, 7, 2000, [](const auto& path) { records_of(path); });
}

TEST_F(JournalTest, IsAsBeforeWhenAnAppendFails) {
    struct rlimit before {};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    JournalWriter writer(path_);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small { bytes_.size() + 100, before.rlim_max };
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    EXPECT_THROW(writer.append(bytes_of(std::string(1000, 'y'))), Error);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(std::filesystem::file_size(path_), bytes_.size());
    writer.append(bytes_of("short"));
    EXPECT_EQ(records_of(path_).back(), "short");
}

TEST_F(JournalTest, RefusesOtherFiles) {
    write_text_file(path_, "a text that is longer than a journal's header");
    EXPECT_THROW(records_of(path_), Error);
    EXPECT_THROW(JournalWriter{path_}, Error);
    EXPECT_THROW(JournalWriter{directory_ / "absent" / "journal"}, Error);
}

}  // namespace
}  // namespace popalign::store
