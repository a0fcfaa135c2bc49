#pragma once

namespace popalign::lm {

/// Running estimate of a decoding step's time: a line fitted to the times of past steps over their
/// numbers of sequences, with less weight for older steps.
class StepCost {
  public:
    void add(double sequences, double seconds) noexcept;
    /// Returns the fixed cost of a step, in units of the cost of one sequence. Infinite until steps
    /// of different sizes were seen, or if the size makes no difference.
    double overhead() const noexcept;

  private:
    double weight_ = 0, x_ = 0, y_ = 0, xx_ = 0, xy_ = 0;  // weighted sums
};

}  // namespace popalign::lm
