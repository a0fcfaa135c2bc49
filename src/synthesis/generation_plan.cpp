#include <popalign/base/error.hpp>
#include <popalign/synthesis/generation_plan.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace popalign::synthesis {
namespace {

class Planner {
  public:
    explicit Planner(Sharing sharing) : sharing_(sharing) {}

    void add(const StrategyOptions& options) {
        const StrategyTemplate strategy = load_strategy(options);
        const std::string label = label_of(options);
        const auto row = static_cast<std::uint32_t>(plan_.strategies.size());
        plan_.strategies.push_back({label, strategy.level, options.variant});
        plan_.quotas.push_back({options.share, options.quota});
        for (std::int64_t draw = 0; draw < options.draws; ++draw) {
            const auto chosen = side(options, strategy, PairSide::chosen, label, draw);
            const auto rejected = side(options, strategy, PairSide::rejected, label, draw);
            plan_.pairs.push_back({chosen, rejected, row});
        }
    }
    GenerationPlan take() { return std::move(plan_); }

  private:
    /// Numbers the rows of a strategy that occurs with several models or variants.
    std::string label_of(const StrategyOptions& options) {
        const int count = ++uses_[options.name];
        return count == 1 ? options.name : fmt::format("{}-{}", options.name, count);
    }

    std::size_t side(const StrategyOptions& options, const StrategyTemplate& strategy,
                     PairSide pair_side, const std::string& label, std::int64_t draw) {
        const Contrast& contrast = strategy.variants.at(options.variant);
        const bool good = pair_side == PairSide::chosen;
        const Side& asked = good ? contrast.chosen : contrast.rejected;
        // Where one side is a second sample, draws take turns, so that more draws change none.
        const bool two_samples = contrast.chosen.sample + contrast.rejected.sample > 0;
        PlannedGeneration planned;
        planned.name = label + (good ? "/chosen" : "/rejected") +
                       (draw == 0 ? "" : fmt::format("/draw-{}", draw + 1));
        planned.model = options.model_for(asked.model);
        planned.draw = two_samples ? 2 * draw + asked.sample : draw;
        for (const Affix& affix : contrast.affixes)
            planned.affixes.push_back(good ? affix : Affix{affix.rejected, affix.chosen});
        const auto turns = strategy.turns(contrast, pair_side, options.shots);
        for (const Turn& turn : turns) {
            planned.turns.push_back(turn);
            PlannedGeneration part = planned;
            if (planned.turns.size() < turns.size())
                part.name += fmt::format("/turn-{}", planned.turns.size());
            planned.previous = generation(std::move(part));
        }
        return *planned.previous;
    }

    std::size_t generation(PlannedGeneration wanted) {
        auto& all = plan_.generations;
        const auto same = std::ranges::find_if(all, [&](const PlannedGeneration& other) {
            return other.model == wanted.model && other.turns == wanted.turns &&
                   other.affixes == wanted.affixes && other.draw == wanted.draw;
        });
        if (sharing_ == Sharing::equal_once && same != all.end())
            return static_cast<std::size_t>(same - all.begin());
        wanted.purpose = wanted.model + "\n" + template_text(wanted);
        if (wanted.draw > 0)
            wanted.purpose += fmt::format("draw {}\n", wanted.draw);
        if (sharing_ == Sharing::none)
            wanted.purpose += wanted.name;
        all.push_back(std::move(wanted));
        return all.size() - 1;
    }

    Sharing sharing_;
    GenerationPlan plan_;
    std::map<std::string, int> uses_;
};

}  // namespace

std::vector<std::string> GenerationPlan::models() const {
    std::vector<std::string> names;
    for (const auto& generation : generations)
        if (std::ranges::find(names, generation.model) == names.end())
            names.push_back(generation.model);
    return names;
}

GenerationPlan make_generation_plan(const std::vector<StrategyOptions>& strategies,
                                    Sharing sharing) {
    if (strategies.empty())
        throw UsageError("no strategy is configured; list at least one under `strategies`");
    Planner planner(sharing);
    for (const auto& options : strategies)
        planner.add(options);
    return planner.take();
}

std::string template_text(const PlannedGeneration& generation) {
    const std::string turns = print_config(generation.turns);
    if (generation.affixes.empty())
        return turns.substr(1);
    return "turns:" + turns + "affixes:" + print_config(generation.affixes);
}

}  // namespace popalign::synthesis
