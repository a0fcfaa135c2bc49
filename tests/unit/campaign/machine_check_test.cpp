#include <popalign/campaign/machine_check.hpp>

#include <gtest/gtest.h>

namespace popalign::campaign {
namespace {

std::vector<RankFacts> ranks(const std::vector<std::pair<std::string, std::string>>& hosts) {
    std::vector<RankFacts> facts;
    for (const auto& [host, device] : hosts)
        facts.push_back({host, device, 8, 4, 100.0, std::uint64_t{1} << 33});
    return facts;
}

TEST(Doctor, TwoRanksOnOneDeviceAreNamed) {
    EXPECT_EQ(check_devices(ranks({{"a", "GPU 0"}, {"a", "GPU 1"}, {"b", "GPU 0"}})).finding,
              Finding::ok);
    const auto shared = check_devices(ranks({{"a", "GPU 0"}, {"b", "GPU 1"}, {"b", "GPU 1"}}));
    EXPECT_EQ(shared.finding, Finding::problem);
    EXPECT_EQ(shared.found, "ranks 1 and 2 are both on device b GPU 1");
    EXPECT_FALSE(shared.advice.empty());
    EXPECT_EQ(check_devices(ranks({{"a", "GPU 0"}, {"a", ""}})).finding, Finding::problem);
    EXPECT_EQ(check_devices(ranks({{"a", ""}, {"a", ""}})).finding, Finding::skipped);
}

TEST(Doctor, AnotherNcclThanTheCompiledOneIsNamed) {
    EXPECT_EQ(check_nccl("2.30.3", "2.30.3").finding, Finding::ok);
    const auto other = check_nccl("2.30.3", "2.18.1");
    EXPECT_EQ(other.finding, Finding::problem);
    EXPECT_NE(other.found.find("2.30.3"), std::string::npos);
    EXPECT_NE(other.found.find("2.18.1"), std::string::npos);
    EXPECT_EQ(check_nccl("", "").finding, Finding::skipped);
}

TEST(Doctor, TasksThatAreAloneLackPmix) {
    EXPECT_EQ(check_launcher(1, 2, false).finding, Finding::problem);
    EXPECT_NE(check_launcher(1, 2, false).found.find("no PMIx"), std::string::npos);
    EXPECT_EQ(check_launcher(2, 2, true).finding, Finding::ok);
    EXPECT_EQ(check_launcher(1, std::nullopt, false).finding, Finding::ok);
}

TEST(Doctor, ClocksApartAreNamed) {
    auto facts = ranks({{"a", ""}, {"b", ""}});
    EXPECT_EQ(check_clocks(facts).finding, Finding::ok);
    facts[1].clock += 5;
    EXPECT_EQ(check_clocks(facts).finding, Finding::warning);
    facts[1].clock += 50;
    EXPECT_EQ(check_clocks(facts).finding, Finding::problem);
    EXPECT_NE(check_clocks(facts).found.find("a and b"), std::string::npos);
}

TEST(Doctor, CrowdedAndUnevenNodesAreNoted) {
    EXPECT_EQ(check_nodes(ranks({{"a", ""}, {"a", ""}})).finding, Finding::ok);
    EXPECT_EQ(check_nodes(ranks({{"a", ""}, {"a", ""}, {"a", ""}})).finding, Finding::warning);
    EXPECT_EQ(check_nodes(ranks({{"a", ""}, {"a", ""}, {"b", ""}})).finding, Finding::warning);
}

}  // namespace
}  // namespace popalign::campaign
