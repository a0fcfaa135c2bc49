#pragma once

#include <popalign/lm/engine/generator.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

namespace popalign::lm {

/// All requests of a run of the generator, by number, and a queue of those not yet started. They
/// wait in order of arrival or, if a sequence's cache must depend on that sequence alone, in one
/// queue per cache extent.
class RequestQueue {
  public:
    enum class Extents { shared, apart };
    explicit RequestQueue(Extents extents) : extents_(extents) {}

    void add(std::vector<GenerationRequest> requests);
    const GenerationRequest& operator[](std::size_t number) const { return requests_[number]; }
    /// Forgets a prompt.
    void finish(std::size_t number) { requests_[number].prompt = {}; }

    std::size_t waiting() const noexcept { return waiting_; }
    /// Returns a cache extent for some of the waiting requests; with shared extents, for all. At
    /// least one request must wait.
    std::int64_t next_extent() const;
    /// Returns how many requests wait in the queue that `take` uses for `extent`.
    std::size_t fitting(std::int64_t extent) const;
    /// Takes at most `most` requests for a cache of that extent.
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
