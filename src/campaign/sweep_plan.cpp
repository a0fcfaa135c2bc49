#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/campaign/sweep_plan.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace popalign::campaign {
namespace {

constexpr std::size_t key_digits = 16;

std::string_view part_name(SweepPart part) {
    static constexpr std::string_view names[] = {"data", "base", "run"};
    return names[static_cast<std::size_t>(part)];
}

/// Training data of a run: a whole pair file, or a view of it.
struct Selection {
    Mix mix;
    std::int64_t draws = 1;
    std::vector<std::string> data_overrides;
};

class Planner {
  public:
    Planner(const SweepOptions& options, const std::vector<NamedStrategy>& strategies,
            const Determinants& determinants)
        : options_(options), determinants_(determinants) {
        std::vector<std::string> names;
        for (const NamedStrategy& strategy : strategies)
            names.push_back(strategy.name);
        for (const Mix& mix : make_mixes(options, names))
            selections_.push_back({mix, 1, {}});
        for (const ControlOptions& control : options.controls)
            selections_.push_back(control_selection(control, strategies));
    }

    SweepPlan make() {
        combine(0, {}, {});
        return std::move(plan_);
    }

  private:
    static Selection control_selection(const ControlOptions& control,
                                       const std::vector<NamedStrategy>& strategies) {
        const auto found = std::ranges::find(strategies, control.strategy, &NamedStrategy::name);
        if (found == strategies.end())
            throw UsageError(
                fmt::format("sweep.controls: '{}' is not among `strategies`", control.strategy));
        std::string list = "strategies=\n";
        for (std::int64_t draw = 0; draw < control.draws; ++draw)
            list += "- " + found->yaml + "\n";
        return {{fmt::format("{} x{}", control.strategy, control.draws), {"control"}, {}, {}},
                control.draws,
                {std::move(list), "synthesis.share=false"}};
    }

    void combine(std::size_t factor, const std::vector<std::string>& overrides,
                 const std::map<std::string, std::string>& values) {
        if (factor == options_.factors.size())
            return add_runs(overrides, values);
        const FactorOptions& options = options_.factors[factor];
        for (const std::string& value : options.values) {
            auto more = overrides;
            more.push_back(options.key + "=" + value);
            auto named = values;
            named[options.key] = value;
            combine(factor + 1, more, named);
        }
    }

    void add_runs(const std::vector<std::string>& factors,
                  const std::map<std::string, std::string>& values) {
        const std::string data = add(plan_.data, SweepPart::data, {}, factors).name;
        const std::string base = add(plan_.bases, SweepPart::base, data, factors).name;
        const std::vector<std::int64_t> sizes =
            options_.sizes.empty() ? std::vector<std::int64_t>{0} : options_.sizes;
        for (const Selection& selection : selections_) {
            std::string pairs = data, reference = base;
            if (!selection.data_overrides.empty()) {
                auto overrides = factors;
                overrides.insert(overrides.end(), selection.data_overrides.begin(),
                                 selection.data_overrides.end());
                pairs = add(plan_.data, SweepPart::data, {}, overrides).name;
                reference = add(plan_.bases, SweepPart::base, pairs, overrides).name;
            }
            for (const std::int64_t size : sizes)
                for (const std::uint64_t seed : options_.seeds)
                    add_run({pairs, base, reference}, selection, size, seed, factors, values);
        }
    }

    struct Shared {
        std::string data, base, reference;
    };

    void add_run(const Shared& shared, const Selection& selection, std::int64_t size,
                 std::uint64_t seed, std::vector<std::string> overrides,
                 const std::map<std::string, std::string>& values) {
        const Mix& mix = selection.mix;
        overrides.push_back(fmt::format("run.seed={}", seed));
        overrides.push_back(fmt::format("train.limit_instructions={}", size));
        overrides.push_back(fmt::format("train.strategies=[{}]", fmt::join(mix.strategies, ", ")));
        std::vector<std::string> shares;
        for (const auto& [name, share] : mix.proportions)
            shares.push_back(fmt::format("{}: {}", name, share));
        overrides.push_back(fmt::format("train.proportions={{{}}}", fmt::join(shares, ", ")));
        SweepUnit& run = add(plan_.runs, SweepPart::run, shared.data + shared.base, overrides);
        run.data = shared.data;
        run.base = shared.base;
        run.reference = shared.reference;
        run.mix = mix;
        run.size = size;
        run.draws = selection.draws;
        run.seed = seed;
        run.factors = values;
    }

    /// Returns the unit with these overrides, new or existing. `on` is the unit that it depends on.
    SweepUnit& add(std::vector<SweepUnit>& units, SweepPart part, const std::string& on,
                   const std::vector<std::string>& overrides) {
        const std::string key = sha256_hex(fmt::format("{}\n{}\n{}", part_name(part), on,
                                                       determinants_(part, overrides)))
                                    .substr(0, key_digits);
        const std::string name = fmt::format("{}/{}", part_name(part), key);
        const auto same = std::ranges::find(units, name, &SweepUnit::name);
        if (same != units.end())
            return *same;
        SweepUnit unit;
        unit.part = part;
        unit.name = name;
        unit.overrides = overrides;
        unit.data = part == SweepPart::base ? on : "";
        return units.emplace_back(std::move(unit));
    }

    const SweepOptions& options_;
    const Determinants& determinants_;
    std::vector<Selection> selections_;
    SweepPlan plan_;
};

}  // namespace

const SweepUnit& SweepPlan::find(const std::string& name) const {
    for (const auto* units : {&data, &bases, &runs}) {
        const auto found = std::ranges::find(*units, name, &SweepUnit::name);
        if (found != units->end())
            return *found;
    }
    throw UsageError(fmt::format("the sweep has no part '{}'; `sweep --plan` lists them", name));
}

SweepPlan make_sweep_plan(const SweepOptions& options, const std::vector<NamedStrategy>& strategies,
                          const Determinants& determinants) {
    options.validate();
    return Planner(options, strategies, determinants).make();
}

std::vector<SweepJob> make_sweep_jobs(const SweepPlan& plan, std::size_t max_array_size) {
    std::vector<SweepJob> jobs;
    const auto job_name = [](const std::string& unit) {
        std::string name = unit;
        std::ranges::replace(name, '/', '-');
        return name;
    };
    for (const SweepUnit& data : plan.data)
        jobs.push_back({job_name(data.name), {data.name}, {}});
    std::map<std::string, std::string> last;  // unit that writes last into a pair file
    for (const SweepUnit& base : plan.bases) {
        std::string& before = last[base.data];
        jobs.push_back(
            {job_name(base.name), {base.name}, {job_name(before.empty() ? base.data : before)}});
        before = base.name;
    }

    std::map<std::set<std::string>, std::vector<std::string>> groups;
    for (const SweepUnit& run : plan.runs)
        groups[{job_name(run.reference), job_name(run.base)}].push_back(run.name);
    std::size_t number = 0;
    for (const auto& [after, units] : groups)
        for (std::size_t begin = 0; begin < units.size(); begin += max_array_size) {
            const auto end = std::min(begin + max_array_size, units.size());
            jobs.push_back({fmt::format("runs-{}", ++number),
                            {units.begin() + static_cast<std::ptrdiff_t>(begin),
                             units.begin() + static_cast<std::ptrdiff_t>(end)},
                            {after.begin(), after.end()}});
        }
    return jobs;
}

void SweepOptions::validate() const {
    const auto require = [](bool holds, std::string_view key, std::string_view rule) {
        if (!holds)
            throw UsageError(fmt::format("sweep.{}: {}", key, rule));
    };
    require(!mixes.empty() || !controls.empty(), "mixes", "name at least one");
    require(lattice_degree >= 1 && lattice_degree <= 20, "lattice_degree", "must be 1 to 20");
    for (const std::int64_t size : sizes)
        require(size >= 1, "sizes", "must be at least 1");
    require(!seeds.empty(), "seeds", "name at least one");
    for (const ControlOptions& control : controls)
        require(control.draws >= 2 && control.draws <= 1000, "controls", "draws must be 2 to 1000");
    for (const FactorOptions& factor : factors) {
        require(!factor.values.empty(), "factors", "a factor needs values");
        for (const std::string_view reserved : {"run.directory", "run.pairs", "sweep."})
            require(!factor.key.starts_with(reserved), "factors",
                    "run.directory, run.pairs and sweep.* are the sweep's own");
    }
    for (const std::string& evaluation : evaluations)
        require(evaluation == "preference" || evaluation == "win-rate", "evaluations",
                "knows preference and win-rate");
    require(flops_per_core > 0, "flops_per_core", "must be positive");
    require(max_array_size >= 0 && max_running >= 0, "max_array_size", "must not be negative");
}

}  // namespace popalign::campaign
