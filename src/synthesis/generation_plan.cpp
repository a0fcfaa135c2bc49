#include <popalign/base/error.hpp>
#include <popalign/synthesis/generation_plan.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace popalign {
namespace {

class Planner {
  public:
    explicit Planner(Sharing sharing) : sharing_(sharing) {}

    void add(const StrategyOptions& options) {
        const StrategyTemplate strategy = load_strategy(options);
        const Contrast& contrast = strategy.variants.at(options.variant);
        const std::string label = label_of(options);
        plan_.strategies.push_back({label, strategy.level, options.variant});
        const auto chosen = side(options, contrast.chosen, label + "/chosen");
        const auto rejected = side(options, contrast.rejected, label + "/rejected");
        plan_.pairs.push_back({chosen, rejected});
    }
    GenerationPlan take() { return std::move(plan_); }

  private:
    /// A strategy that occurs with several models or variants keeps its rows apart by number.
    std::string label_of(const StrategyOptions& options) {
        const int count = ++uses_[options.name];
        return count == 1 ? options.name : fmt::format("{}-{}", options.name, count);
    }

    std::size_t side(const StrategyOptions& options, const Side& side, const std::string& name) {
        const std::string& model = options.model_for(side.model);
        std::optional<std::size_t> previous;
        for (std::size_t count = 1; count <= side.turns.size(); ++count) {
            const std::vector<Turn> turns(side.turns.begin(),
                                          side.turns.begin() + static_cast<std::ptrdiff_t>(count));
            const bool last = count == side.turns.size();
            previous = generation(last ? name : fmt::format("{}/turn-{}", name, count), model,
                                  turns, previous);
        }
        return *previous;
    }

    std::size_t generation(const std::string& name, const std::string& model,
                           const std::vector<Turn>& turns, std::optional<std::size_t> previous) {
        auto& all = plan_.generations;
        const auto same = std::ranges::find_if(all, [&](const PlannedGeneration& other) {
            return other.model == model && other.turns == turns;
        });
        if (sharing_ == Sharing::equal_once && same != all.end())
            return static_cast<std::size_t>(same - all.begin());
        std::string purpose = model + "\n" + turns_text(turns);
        if (sharing_ == Sharing::none)
            purpose += name;
        all.push_back({name, model, turns, previous, std::move(purpose)});
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

std::string turns_text(const std::vector<Turn>& turns) {
    return print_config(turns).substr(1);
}

}  // namespace popalign
