#pragma once

namespace popalign::lm {

/// What a decoding step costs, learned from those that were: a line through their times by their
/// numbers of sequences, in which older steps count less.
class StepCost {
  public:
    void add(double sequences, double seconds) noexcept;
    /// What a step costs beside its sequences, in sequences; infinite until steps of different
    /// sizes were seen, and where their size makes no difference.
    double overhead() const noexcept;

  private:
    double weight_ = 0, x_ = 0, y_ = 0, xx_ = 0, xy_ = 0;  // weighted sums
};

}  // namespace popalign::lm
