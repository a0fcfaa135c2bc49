#include <popalign/evaluation/benchmark.hpp>

#include <map>

namespace popalign::evaluation {

void keep_first(std::vector<BenchmarkItem>& items, std::int64_t count) {
    if (count == 0)
        return;
    std::map<std::string, std::int64_t> taken;
    std::erase_if(items, [&](const BenchmarkItem& item) { return ++taken[item.category] > count; });
}

Instruction instruction_of(const BenchmarkItem& item) {
    return {item.id, item.category, item.turns.front(), Split::held_out, item.context};
}

}  // namespace popalign::evaluation
