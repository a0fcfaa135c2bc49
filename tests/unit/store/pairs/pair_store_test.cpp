#include "support/temporary_directory.hpp"
#include "support/world.hpp"
#include "unit/store/damage.hpp"
#include "unit/store/pairs/sample_rows.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_update.hpp>
#include <popalign/store/pairs/pair_writer.hpp>

#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

namespace popalign::store {
namespace {

using test::sample_block;
using test::sample_header;
using test::TemporaryDirectory;
using test::world;

constexpr std::size_t instruction_count = 101;
constexpr std::size_t pair_count = 2 * instruction_count;

/// Rank 0 of several gets nothing: uneven shares are the rule in a real run.
Range share(std::size_t count) {
    if (world().size() == 1)
        return {0, count};
    return world().is_root() ? Range{0, 0}
                             : partition(count, world().rank() - 1, world().size() - 1);
}

void write_sample(const std::filesystem::path& path) {
    write_pair_file(world(), path, sample_header(), sample_block(share(instruction_count)));
}

bool same_header(const PairFileHeader& a, const PairFileHeader& b) {
    return a.config == b.config && a.provenance == b.provenance && a.models == b.models &&
           a.generations == b.generations && a.strategies == b.strategies;
}

void expect_sample(const PairFile& file) {
    const PairBlock expected = sample_block({0, instruction_count});
    EXPECT_TRUE(same_header(file.header(), sample_header()));
    ASSERT_EQ(file.instruction_count(), instruction_count);
    ASSERT_EQ(file.response_count(), expected.responses.size());
    ASSERT_EQ(file.pair_count(), pair_count);
    EXPECT_EQ(file.instructions({0, instruction_count}), expected.instructions);
    EXPECT_EQ(file.responses(Range{0, expected.responses.size()}), expected.responses);
    EXPECT_EQ(file.pairs({0, pair_count}), expected.pairs);
}

/// Reads all there is.
void read_all(const std::filesystem::path& path) {
    const PairFile file(path);
    file.instructions({0, file.instruction_count()});
    file.responses(Range{0, file.response_count()});
    file.pairs({0, file.pair_count()});
    file.judges();
    file.verdicts();
    for (const std::string& key : file.reference_keys())
        file.reference(key);
    file.verify();
}

TEST(PairStore, GivesBackWhatAllRanksWrote) {
    const TemporaryDirectory directory;
    const auto path = directory / "made" / "pairs.h5";
    write_sample(path);
    const PairFile file(path);
    expect_sample(file);
    EXPECT_TRUE(file.judges().empty());
    EXPECT_TRUE(file.verdicts().empty());
    EXPECT_TRUE(file.reference_keys().empty());
    EXPECT_TRUE(file.verify().empty());
    EXPECT_FALSE(std::filesystem::exists(partial_path(path)));
}

TEST(PairStore, HasTheSameBytesWhoeverWroteItAndWhen) {
    const TemporaryDirectory directory;
    write_sample(directory / "together.h5");
    const comm::Communicator alone = world().split(world().rank());
    ::sleep(1);  // HDF5's times count seconds
    if (world().is_root())
        write_pair_file(alone, directory / "alone.h5", sample_header(),
                        sample_block({0, instruction_count}));
    comm::barrier(world());
    EXPECT_TRUE(read_text_file(directory / "together.h5") ==
                read_text_file(directory / "alone.h5"));
}

TEST(PairStore, NeedsNoMpi) {
    const TemporaryDirectory directory;
    if (world().is_root()) {
        const auto path = directory / "serial.h5";
        write_pair_file({}, path, sample_header(), sample_block({0, instruction_count}));
        write_verdicts({}, path, test::sample_judges(), test::sample_verdicts({0, pair_count}));
        expect_sample(PairFile(path));
    }
}

TEST(PairStore, UpdatesReuseTheirSpace) {
    const TemporaryDirectory directory;
    const auto path = directory / "pairs.h5";
    write_sample(path);
    std::vector<std::uintmax_t> sizes;
    for (int i = 0; i < 4; ++i) {
        write_verdicts(world(), path, test::sample_judges(),
                       test::sample_verdicts(share(pair_count)));
        comm::barrier(world());
        sizes.push_back(std::filesystem::file_size(path));
        comm::barrier(world());
    }
    EXPECT_EQ(sizes[1], sizes[3]);
}

/// A file system of two MiB, on rank 0; not mounted without the right to.
class SmallDisk {
  public:
    explicit SmallDisk(const std::filesystem::path& path) : path_(path) {
        if (world().is_root())
            mounted_ = std::filesystem::create_directory(path) &&
                       ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=2m") == 0;
        mounted_ = comm::all_reduce<std::int32_t>(world(), mounted_ ? 1 : 0,
                                                  comm::Reduction::maximum) != 0;
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    ~SmallDisk() {
        comm::barrier(world());
        if (mounted_ && world().is_root())
            ::umount(path_.c_str());
    }
    bool mounted() const { return mounted_; }

  private:
    std::filesystem::path path_;
    bool mounted_ = false;
};

TEST(PairStore, LeavesAFullDiskAsItWas) {
    const TemporaryDirectory directory;
    const SmallDisk disk(directory / "disk");
    if (!disk.mounted())
        GTEST_SKIP() << "no right to mount a tmpfs";
    const auto path = directory / "disk" / "pairs.h5";
    PairBlock large = sample_block(share(instruction_count));
    if (world().rank() == world().size() - 1)
        large.responses.front().text.assign(std::size_t{4} << 20, 'x');
    try {
        write_pair_file(world(), path, sample_header(), large);
        ADD_FAILURE() << "4 MiB fitted on 2";
    } catch (const comm::AgreedError& error) {
        EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos)
            << error.what();
    }
    comm::barrier(world());
    EXPECT_TRUE(std::filesystem::is_empty(directory / "disk"));
    write_sample(path);
    const auto before = read_text_file(path);
    auto verdicts = test::sample_verdicts(share(pair_count));
    for (Verdict& verdict : verdicts)
        verdict.raw.assign(10'000, 'x');
    EXPECT_THROW(write_verdicts(world(), path, test::sample_judges(), verdicts), comm::AgreedError);
    comm::barrier(world());
    EXPECT_TRUE(read_text_file(path) == before);
    EXPECT_FALSE(std::filesystem::exists(partial_path(path)));
}

TEST(PairStore, ReadsAnyRows) {
    const TemporaryDirectory directory;
    write_sample(directory / "pairs.h5");
    const PairFile file(directory / "pairs.h5");
    const auto all = sample_block({0, instruction_count}).responses;
    const std::vector<std::uint64_t> rows{5, 6, 7, 300, 2, 2, 302};
    const auto read = file.responses(std::span(rows));
    ASSERT_EQ(read.size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
        EXPECT_EQ(read[i], all[rows[i]]) << i;
    EXPECT_TRUE(file.responses(Range{7, 7}).empty());
    EXPECT_THROW(file.responses(Range{300, 304}), InputError);
    EXPECT_THROW(file.pairs(Range{std::numeric_limits<std::size_t>::max() - 1,
                                  std::numeric_limits<std::size_t>::max()}),
                 InputError);
}

TEST(PairStore, HoldsNothingAtAll) {
    const TemporaryDirectory directory;
    write_pair_file(world(), directory / "pairs.h5", {}, {});
    const PairFile file(directory / "pairs.h5");
    EXPECT_TRUE(same_header(file.header(), {}));
    EXPECT_EQ(file.pair_count() + file.response_count() + file.instruction_count(), 0U);
    EXPECT_TRUE(file.verify().empty());
    write_verdicts(world(), directory / "pairs.h5", {}, {});
    EXPECT_TRUE(PairFile(directory / "pairs.h5").verdicts().empty());
}

TEST(PairStore, WritesColumnsOfManyChunks) {
    const TemporaryDirectory directory;
    PairBlock block = sample_block({0, 2});
    block.responses[1].tokens.resize(300'000, 7);  // 1.2 MB on each rank, in chunks of 1 MiB
    block.responses[1].text.assign(3'000'000, 'x');
    write_pair_file(world(), directory / "pairs.h5", sample_header(), block);
    const PairFile file(directory / "pairs.h5");
    ASSERT_EQ(file.response_count(), 6 * static_cast<std::uint64_t>(world().size()));
    for (std::uint64_t row = 1; row < file.response_count(); row += 6)
        EXPECT_EQ(file.responses(Range{row, row + 1}).front(), block.responses[1]);
}

/// The bytes are the same in however many parts a rank gives its rows.
TEST(PairStore, CanBeWrittenInParts) {
    const TemporaryDirectory directory;
    const Range mine = share(instruction_count);
    PairBlock block = sample_block(mine);
    if (!block.responses.empty())
        block.responses.back().text.assign(50'000, 'x');
    write_pair_file(world(), directory / "whole.h5", sample_header(), block);
    PairSizes sizes;
    for (const Instruction& row : block.instructions)
        sizes.add(row);
    for (const Response& row : block.responses)
        sizes.add(row);
    sizes.pairs = block.pairs.size();
    {
        PairFileWriter writer(world(), directory / "parts.h5", sample_header(), sizes);
        for (std::size_t i = 0; i < mine.size(); ++i) {
            PairBlock part = sample_block({mine.begin + i, mine.begin + i + 1});
            if (i + 1 == mine.size())
                part.responses.back() = block.responses.back();
            writer.write(part);
        }
        writer.commit();
    }
    EXPECT_TRUE(read_text_file(directory / "whole.h5") == read_text_file(directory / "parts.h5"));
    ++sizes.tokens;  // a promise that is not kept
    {
        PairFileWriter writer(world(), directory / "less.h5", sample_header(), sizes);
        comm::run_on_all(world(), [&] { writer.write(block); });
        EXPECT_THROW(writer.commit(), comm::AgreedError);
    }
    comm::barrier(world());
    EXPECT_FALSE(std::filesystem::exists(directory / "less.h5"));
    EXPECT_FALSE(std::filesystem::exists(directory / "less.h5.partial"));
}

TEST(PairStore, ReplacesVerdictsInTheirOrder) {
    const TemporaryDirectory directory;
    const auto path = directory / "pairs.h5";
    write_sample(path);
    write_verdicts(world(), path, {{"first", "", "", ""}}, {});
    write_verdicts(world(), path, test::sample_judges(), test::sample_verdicts(share(pair_count)));
    auto expected = test::sample_verdicts({0, pair_count});
    std::ranges::sort(expected, {}, [](const Verdict& verdict) {
        return std::tuple(verdict.judge, verdict.pair, verdict.order);
    });
    const PairFile file(path);
    EXPECT_EQ(file.judges(), test::sample_judges());
    EXPECT_EQ(file.verdicts(), expected);
    EXPECT_TRUE(file.verify().empty());
    expect_sample(file);
}

TEST(PairStore, RefusesVerdictsOfNothing) {
    const TemporaryDirectory directory;
    const auto path = directory / "pairs.h5";
    write_sample(path);
    auto verdicts = test::sample_verdicts({0, 1});
    verdicts[0].pair = pair_count;
    const auto mine = world().is_root() ? verdicts : std::vector<Verdict>{};
    EXPECT_THROW(write_verdicts(world(), path, test::sample_judges(), mine), comm::AgreedError);
    EXPECT_THROW(write_verdicts(world(), directory / "absent.h5", {}, {}), comm::AgreedError);
    expect_sample(PairFile(path));
}

TEST(PairStore, AddsAndReplacesReferences) {
    const TemporaryDirectory directory;
    const auto path = directory / "pairs.h5";
    write_sample(path);
    PairFile::Reference reference;
    for (std::size_t pair = 0; pair < pair_count; ++pair) {
        reference.chosen_logprob.push_back(-static_cast<double>(pair) / 3);
        reference.rejected_logprob.push_back(pair % 5 == 0 ? std::nan("") : -1e-300);
    }
    write_reference(world(), path, "b", {reference.rejected_logprob, reference.chosen_logprob});
    write_reference(world(), path, "a", reference);
    write_reference(world(), path, "b", reference);
    const PairFile file(path);
    EXPECT_EQ(file.reference_keys(), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(file.reference("b").chosen_logprob, reference.chosen_logprob);
    const auto read = file.reference("a").rejected_logprob;
    ASSERT_EQ(read.size(), pair_count);
    for (std::size_t pair = 0; pair < pair_count; ++pair)
        EXPECT_TRUE(std::isnan(reference.rejected_logprob[pair])
                        ? std::isnan(read[pair])
                        : read[pair] == reference.rejected_logprob[pair]);
    EXPECT_TRUE(file.verify().empty());
    EXPECT_THROW(file.reference("c"), InputError);
    EXPECT_THROW(write_reference(world(), path, "a/b", reference), comm::AgreedError);
    reference.chosen_logprob.pop_back();
    EXPECT_THROW(write_reference(world(), path, "a", reference), comm::AgreedError);
}

std::string message_of(const std::filesystem::path& path) {
    try {
        read_all(path);
    } catch (const InputError& error) {
        return error.what();
    }
    return "";
}

/// Runs `change` on the open file, on rank 0.
void alter(const std::filesystem::path& path, const std::function<void(hid_t)>& change) {
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    ASSERT_GE(file, 0);
    change(file);
    ASSERT_GE(H5Fclose(file), 0);
}

template <class T>
void set_first(hid_t file, const char* column, hid_t type, T value) {
    const hid_t dataset = H5Dopen2(file, column, H5P_DEFAULT);
    const hsize_t zero = 0, one = 1;
    const hid_t memory = H5Screate_simple(1, &one, nullptr), space = H5Dget_space(dataset);
    ASSERT_GE(H5Sselect_hyperslab(space, H5S_SELECT_SET, &zero, nullptr, &one, nullptr), 0);
    ASSERT_GE(H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, &value), 0);
    H5Sclose(space), H5Sclose(memory), H5Dclose(dataset);
}

TEST(PairStore, SaysWhatIsWrongWithAFile) {
    const TemporaryDirectory directory;
    if (!world().is_root())
        return;
    const auto path = directory / "pairs.h5";
    const auto altered = [&](const std::function<void(hid_t)>& change) {
        write_pair_file({}, path, sample_header(), sample_block({0, 3}));
        alter(path, change);
        return message_of(path);
    };
    EXPECT_NE(message_of(directory / "absent.h5").find("no such pair file"), std::string::npos);
    write_text_file(path, "text");
    EXPECT_NE(message_of(path).find("not an HDF5 file"), std::string::npos);
    EXPECT_EQ(altered([](hid_t) {}), "");
    const auto version = altered([](hid_t file) {
        const hid_t attribute = H5Aopen(file, "format_version", H5P_DEFAULT);
        const std::int64_t next = 2;
        H5Awrite(attribute, H5T_NATIVE_INT64, &next);
        H5Aclose(attribute);
    });
    EXPECT_NE(version.find("format version 2 (this program knows 1)"), std::string::npos)
        << version;
    const auto absent = altered([](hid_t file) { H5Ldelete(file, "responses/seed", H5P_DEFAULT); });
    EXPECT_NE(absent.find("'responses/seed' is missing"), std::string::npos) << absent;
    const auto row = altered(
        [](hid_t file) { set_first<std::uint64_t>(file, "pairs/chosen", H5T_NATIVE_UINT64, 9); });
    EXPECT_NE(row.find("pair 0 points to a row"), std::string::npos) << row;
    const auto number = altered([](hid_t file) {
        set_first<std::uint8_t>(file, "responses/finish_reason", H5T_NATIVE_UINT8, 2);
    });
    EXPECT_NE(number.find("unknown value 2"), std::string::npos) << number;
    for (const std::uint64_t offset : {std::uint64_t{1}, ~std::uint64_t{0}}) {
        const auto offsets = altered([&](hid_t file) {
            set_first(file, "responses/text/offsets", H5T_NATIVE_UINT64, offset);
        });
        EXPECT_NE(offsets.find("offsets"), std::string::npos) << offsets;
    }
}

TEST(PairStore, NeverCrashesOnDamage) {
    const TemporaryDirectory directory;
    if (!world().is_root())
        return;
    const auto path = directory / "pairs.h5";
    PairFileHeader header = sample_header();
    header.config = "short";
    write_pair_file({}, path, header, sample_block({0, 3}));
    write_verdicts({}, path, test::sample_judges(), test::sample_verdicts({0, 6}));
    write_reference({}, path, "key", {std::vector<double>(6, -1), std::vector<double>(6, -2)});
    test::read_damaged(path, 997, 300, read_all);
}

TEST(PairStore, ReadsOnlyTheChunksItNeeds) {
    const TemporaryDirectory directory;
    if (!world().is_root())
        return;
    const auto path = directory / "pairs.h5";
    PairBlock block = sample_block({0, 2});
    block.responses[4].text.assign(std::size_t{3} << 20, 'x');
    block.responses[5].text = "the last answer of all";
    write_pair_file({}, path, sample_header(), block);
    std::string bytes = read_text_file(path);
    const auto at = bytes.find(block.responses[5].text);
    ASSERT_NE(at, std::string::npos);
    bytes[at] = 'T';
    write_text_file(path, bytes);
    const PairFile file(path);
    EXPECT_EQ(file.responses(Range{1, 2}).front(), block.responses[1]);
    EXPECT_THROW(file.responses(Range{5, 6}), InputError);
}

/// A flipped bit in the data is always noticed.
TEST(PairStore, VerifiesChecksums) {
    const TemporaryDirectory directory;
    if (!world().is_root())
        return;
    const auto path = directory / "pairs.h5";
    write_pair_file({}, path, sample_header(), sample_block({0, 50}));
    std::string bytes = read_text_file(path);
    const auto at = bytes.find("Antwort 100 ");
    ASSERT_NE(at, std::string::npos);
    bytes[at] = 'a';
    write_text_file(path, bytes);
    EXPECT_EQ(PairFile(path).verify().size(), 1U);
}

}  // namespace
}  // namespace popalign::store
