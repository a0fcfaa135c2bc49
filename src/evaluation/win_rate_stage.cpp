#include <popalign/base/error.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/evaluation/benchmark_stage.hpp>

namespace popalign::evaluation {

void EvaluateOptions::validate() const {
    sampling.validate();
    if (max_new_tokens < 1 || batch_size < 1 || batch_tokens < 1 || limit < 0)
        throw UsageError(
            "evaluate: max_new_tokens, batch_size and batch_tokens must be at least 1, limit at "
            "least 0");
}

ExitStatus run_win_rate(const lm::ModelRanks& ranks, const WinRateInputs& inputs,
                        const Deadline& deadline) {
    Benchmark benchmark =
        comm::run_on_all(ranks.leaders(), [&] { return held_out_benchmark(inputs.pairs); });
    keep_first(benchmark.items, inputs.evaluate.limit);
    return run_benchmark(ranks,
                         {inputs.run, inputs.models, inputs.evaluate, inputs.model,
                          std::move(benchmark), inputs.output, inputs.provenance, inputs.logger},
                         &deadline);
}

}  // namespace popalign::evaluation
