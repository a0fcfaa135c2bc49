#include <popalign/base/error.hpp>
#include <popalign/lm/transformer/adapter_options.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace popalign::lm {

void AdapterOptions::validate() const {
    const std::vector<std::string> known = AdapterOptions{}.targets;
    for (const std::string& target : targets)
        if (std::ranges::find(known, target) == known.end())
            throw UsageError(fmt::format("train.lora_targets: unknown projection '{}'; use {}",
                                         target, fmt::join(known, ", ")));
}

}  // namespace popalign::lm
