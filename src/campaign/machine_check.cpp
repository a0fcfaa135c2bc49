#include <popalign/campaign/machine_check.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace popalign::campaign {
namespace {

constexpr double skew_noticed = 1, skew_harmful = 30;  // [s]

std::string_view word(Finding finding) {
    static constexpr std::string_view words[] = {"ok", "warning", "PROBLEM", "skipped"};
    return words[static_cast<std::size_t>(finding)];
}

}  // namespace

MachineCheck check_launcher(int ranks, std::optional<int> tasks, bool pmix) {
    MachineCheck check{"launcher", Finding::ok, fmt::format("{} ranks", ranks), ""};
    if (tasks && *tasks > ranks) {
        check.finding = Finding::problem;
        check.found = fmt::format(
            "{} tasks were started, but this one is alone among {} ranks: no "
            "PMIx between the launcher and MPI",
            *tasks, ranks);
        check.advice =
            "start by `srun --mpi=pmix` (`srun --mpi=list` shows whether Slurm has it), "
            "or by mpirun within the job";
    } else if (ranks > 1 && !pmix) {
        check.found += ", started without PMIx";
    } else if (pmix) {
        check.found += ", PMIx";
    } else {
        check.found += ", no launcher";
    }
    return check;
}

MachineCheck check_nodes(std::span<const RankFacts> ranks) {
    struct Node {
        int ranks = 0;
        std::int64_t cores = 0, threads = 0;
        std::uint64_t memory = 0;
    };
    std::map<std::string, Node> nodes;
    for (const RankFacts& rank : ranks) {
        Node& node = nodes[rank.host];
        ++node.ranks;
        node.cores = std::max(node.cores, rank.cores);
        node.threads += rank.threads;
        node.memory = rank.available_memory;
    }
    std::vector<std::string> parts, crowded;
    std::set<int> counts;
    for (const auto& [host, node] : nodes) {
        counts.insert(node.ranks);
        if (parts.size() < 8)
            parts.push_back(fmt::format("{}: {} ranks, {} threads, {} cores, {:.1f} GiB free", host,
                                        node.ranks, node.threads, node.cores,
                                        static_cast<double>(node.memory) / (1 << 30)));
        if (node.threads > node.cores && node.ranks > 0)
            crowded.push_back(host);
    }
    MachineCheck check{"nodes", Finding::ok,
                       fmt::format("{} nodes; {}{}", nodes.size(), fmt::join(parts, "; "),
                                   nodes.size() > parts.size() ? "; ..." : ""),
                       ""};
    if (!crowded.empty()) {
        check.finding = Finding::warning;
        check.advice = fmt::format(
            "{} has more threads than a rank may use cores: set "
            "--cpus-per-task and OMP_NUM_THREADS alike, or start fewer ranks",
            crowded.front());
    } else if (counts.size() > 1) {
        check.finding = Finding::warning;
        check.advice = "nodes have different numbers of ranks: set --ntasks-per-node";
    }
    return check;
}

MachineCheck check_devices(std::span<const RankFacts> ranks) {
    std::map<std::string, std::size_t> owners;
    MachineCheck check{"devices", Finding::ok, "", ""};
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        if (ranks[rank].device.empty())
            continue;
        const std::string device = ranks[rank].host + " " + ranks[rank].device;
        const auto [owner, first] = owners.emplace(device, rank);
        if (first)
            continue;
        check.finding = Finding::problem;
        check.found =
            fmt::format("ranks {} and {} are both on device {}", owner->second, rank, device);
        check.advice =
            "one rank owns one GPU: set --ntasks-per-node to the GPUs of a node, and "
            "leave all of them visible to all ranks (--gpus-per-node, --gpu-bind=none)";
        return check;
    }
    if (owners.empty())
        return {"devices", Finding::skipped, "no GPU, or not asked for: ranks compute on the CPU",
                ""};
    check.found = fmt::format("{} GPUs for {} ranks", owners.size(), ranks.size());
    if (owners.size() < ranks.size()) {
        check.finding = Finding::problem;
        check.advice = "some ranks have no GPU: ask for as many GPUs as ranks";
    }
    return check;
}

MachineCheck check_nccl(const std::string& compiled, const std::string& loaded) {
    if (compiled.empty())
        return {"NCCL", Finding::skipped, "this build has none (preset `cuda` has)", ""};
    if (compiled == loaded)
        return {"NCCL", Finding::ok, loaded, ""};
    return {
        "NCCL", Finding::problem,
        fmt::format("compiled with {}, but {} is loaded", compiled, loaded),
        "another libnccl comes first: look at LD_LIBRARY_PATH, LD_PRELOAD and loaded modules, or "
        "build again with the one that is loaded"};
}

MachineCheck check_clocks(std::span<const RankFacts> ranks) {
    const auto [first, last] = std::ranges::minmax_element(ranks, {}, &RankFacts::clock);
    const double skew = last->clock - first->clock;
    MachineCheck check{"clocks", Finding::ok, fmt::format("at most {:.2f} s apart", skew), ""};
    if (skew > skew_noticed) {
        check.finding = skew > skew_harmful ? Finding::problem : Finding::warning;
        check.found += fmt::format(" ({} and {})", first->host, last->host);
        check.advice = "deadlines are seen at different times: ask for time synchronisation (NTP)";
    }
    return check;
}

std::string format_checks(std::span<const MachineCheck> checks) {
    std::string text;
    for (const MachineCheck& check : checks) {
        text += fmt::format("{:<8} {:<16} {}\n", word(check.finding), check.name, check.found);
        if (!check.advice.empty())
            text += fmt::format("{:<8} {:<16} -> {}\n", "", "", check.advice);
    }
    return text;
}

std::string checks_json(std::span<const MachineCheck> checks) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const MachineCheck& check : checks)
        list.push_back(
            {{"check", check.name},
             {"finding", check.finding == Finding::problem ? "problem" : word(check.finding)},
             {"found", check.found},
             {"advice", check.advice}});
    return list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace popalign::campaign
