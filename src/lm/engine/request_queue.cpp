#include "lm/engine/request_queue.hpp"

#include <algorithm>
#include <utility>

namespace popalign::lm {
namespace {

std::int64_t extent_of(const GenerationRequest& request) {
    return cache_extent(static_cast<std::int64_t>(request.prompt.size()) + request.max_new_tokens);
}

}  // namespace

void RequestQueue::add(std::vector<GenerationRequest> requests) {
    for (GenerationRequest& request : requests) {
        lines_[line_of(extent_of(request))].push_back(requests_.size());
        requests_.push_back(std::move(request));
        ++waiting_;
    }
}

std::int64_t RequestQueue::next_extent() const {
    std::int64_t longest = 0;
    for (const std::size_t number : lines_.begin()->second)
        longest = std::max(longest, extent_of(requests_[number]));
    return longest;
}

std::size_t RequestQueue::fitting(std::int64_t extent) const {
    const auto line = lines_.find(line_of(extent));
    return line == lines_.end() ? 0 : line->second.size();
}

std::vector<std::size_t> RequestQueue::take(std::int64_t extent, std::size_t most) {
    std::vector<std::size_t> taken;
    const auto line = lines_.find(line_of(extent));
    if (line == lines_.end())
        return taken;
    auto& numbers = line->second;
    while (!numbers.empty() && taken.size() < most &&
           extent_of(requests_[numbers.front()]) <= extent) {
        taken.push_back(numbers.front());
        numbers.pop_front();
    }
    if (numbers.empty())
        lines_.erase(line);
    waiting_ -= taken.size();
    return taken;
}

}  // namespace popalign::lm
