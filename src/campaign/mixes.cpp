#include <popalign/base/error.hpp>
#include <popalign/campaign/sweep_plan.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace popalign::campaign {
namespace {

using Names = std::vector<std::string>;

class MixList {
  public:
    explicit MixList(const Names& all) : all_(all) {}

    void add(const std::string& design, const Names& strategies,
             const std::map<std::string, double>& proportions = {}) {
        const auto same = std::ranges::find_if(mixes_, [&](const Mix& mix) {
            return mix.strategies == strategies && mix.proportions == proportions;
        });
        if (same == mixes_.end())
            mixes_.push_back({name(strategies, proportions), {design}, strategies, proportions});
        else if (std::ranges::find(same->designs, design) == same->designs.end())
            same->designs.push_back(design);
    }
    std::vector<Mix> take() { return std::move(mixes_); }

  private:
    std::string name(const Names& strategies,
                     const std::map<std::string, double>& proportions) const {
        if (proportions.empty())
            return strategies == all_ && all_.size() > 1
                       ? "all"
                       : fmt::format("{}", fmt::join(strategies, "+"));
        Names parts;
        for (const std::string& strategy : strategies)
            parts.push_back(fmt::format("{} {:.3g}", strategy, proportions.at(strategy)));
        return fmt::format("{}", fmt::join(parts, ", "));
    }

    const Names& all_;
    std::vector<Mix> mixes_;
};

/// Strategies whose bit is set.
Names subset(const Names& all, std::uint64_t bits) {
    Names some;
    for (std::size_t i = 0; i < all.size(); ++i)
        if ((bits >> i & 1) != 0)
            some.push_back(all[i]);
    return some;
}

/// Lists every way to divide `parts` among the strategies from `first` on (Scheffe's simplex
/// lattice).
void lattice(const Names& all, std::size_t first, std::int64_t parts, std::int64_t degree,
             std::map<std::string, double>& proportions, MixList& list) {
    if (first + 1 == all.size() || parts == 0) {
        auto point = proportions;
        if (parts > 0)
            point[all[first]] = static_cast<double>(parts) / static_cast<double>(degree);
        Names used;
        for (const std::string& name : all)
            if (point.contains(name))
                used.push_back(name);
        list.add("lattice", used, point);
        return;
    }
    for (std::int64_t share = parts; share >= 0; --share) {
        if (share > 0)
            proportions[all[first]] = static_cast<double>(share) / static_cast<double>(degree);
        lattice(all, first + 1, parts - share, degree, proportions, list);
        proportions.erase(all[first]);
    }
}

void add_listed(const std::string& mix, const Names& all, MixList& list) {
    Names wanted;
    for (std::size_t begin = 0; begin <= mix.size();) {
        const auto end = std::min(mix.find('+', begin), mix.size());
        wanted.push_back(mix.substr(begin, end - begin));
        begin = end + 1;
    }
    for (const std::string& name : wanted)
        if (std::ranges::find(all, name) == all.end())
            throw UsageError(fmt::format(
                "sweep.mixes: '{}' is neither a design (all, single, cumulative, leave_one_out, "
                "subsets, lattice) nor made of strategies of the config ({})",
                mix, fmt::join(all, ", ")));
    Names ordered;
    for (const std::string& name : all)
        if (std::ranges::find(wanted, name) != wanted.end())
            ordered.push_back(name);
    list.add("listed", ordered);
}

}  // namespace

std::vector<Mix> make_mixes(const SweepOptions& options, const Names& all) {
    if (all.empty())
        throw UsageError("no strategy is configured; list at least one under `strategies`");
    MixList list(all);
    const auto count = static_cast<std::ptrdiff_t>(all.size());
    for (const std::string& design : options.mixes) {
        if (design == "all") {
            list.add(design, all);
        } else if (design == "single") {
            for (const std::string& name : all)
                list.add(design, {name});
        } else if (design == "cumulative") {
            for (std::ptrdiff_t n = 1; n <= count; ++n)
                list.add(design, {all.begin(), all.begin() + n});
        } else if (design == "leave_one_out") {
            for (std::size_t i = 0; i < all.size() && count > 1; ++i)
                list.add(design, subset(all, ~(std::uint64_t{1} << i)));
        } else if (design == "subsets") {
            if (count > 16)
                throw UsageError(fmt::format(
                    "sweep.mixes: subsets of {} strategies are too many; list mixes", count));
            for (std::uint64_t bits = 1; bits < std::uint64_t{1} << count; ++bits)
                list.add(design, subset(all, bits));
        } else if (design == "lattice") {
            std::map<std::string, double> proportions;
            lattice(all, 0, options.lattice_degree, options.lattice_degree, proportions, list);
        } else {
            add_listed(design, all, list);
        }
    }
    return list.take();
}

}  // namespace popalign::campaign
