#pragma once

#include <popalign/lm/engine/generator.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

namespace popalign::lm {

/// All requests of a run of the generator, by their numbers, and those that have not begun. They
/// wait in the order in which they come, or, where a sequence's cache must depend on itself alone,
/// apart by the extents that they need.
class RequestQueue {
  public:
    enum class Extents { shared, apart };
    explicit RequestQueue(Extents extents) : extents_(extents) {}

    void add(std::vector<GenerationRequest> requests);
    const GenerationRequest& operator[](std::size_t number) const { return requests_[number]; }
    /// Forgets a prompt.
    void finish(std::size_t number) { requests_[number].prompt = {}; }

    std::size_t waiting() const noexcept { return waiting_; }
    /// A cache extent that some of those that wait can have; with shared extents, all. There must
    /// be some.
    std::int64_t next_extent() const;
    /// How many wait that `take` would give in the end.
    std::size_t fitting(std::int64_t extent) const;
    /// At most `most` requests for a cache of that extent.
    std::vector<std::size_t> take(std::int64_t extent, std::size_t most);

  private:
    std::int64_t line_of(std::int64_t extent) const {
        return extents_ == Extents::apart ? extent : 0;
    }

    Extents extents_;
    std::deque<GenerationRequest> requests_;
    std::map<std::int64_t, std::deque<std::size_t>> lines_;
    std::size_t waiting_ = 0;
};

}  // namespace popalign::lm
