#include "app/command/cost_log.hpp"
#include "app/command/with_config.hpp"
#include "app/stages/stages.hpp"

#include <popalign/base/file.hpp>
#include <popalign/base/provenance.hpp>
#include <popalign/evaluation/win_rate_stage.hpp>
#include <popalign/preference/held_out_stage.hpp>
#include <popalign/synthesis/synthesis_stage.hpp>

#include <fmt/format.h>

namespace popalign::app {

ExitStatus run_preference_stage(const CommandContext& context, const Config& config,
                                const EvaluationTarget& target) {
    const preference::HeldOutInputs inputs = comm::run_on_all(context.comm, [&] {
        return preference::HeldOutInputs{
            synthesis::pair_file_path(config.run), target.model,
            find_model(config, config.train.reference.empty() ? config.train.model
                                                              : config.train.reference),
            config.run.device, config.train};
    });
    std::string figures;
    with_cost(context, config, "evaluate preference", [&] {
        figures = preference::evaluate_held_out_pairs(context.comm, inputs, context.logger);
        return ExitStatus::done;
    });
    comm::run_on_all(context.comm, [&] {
        if (!context.comm.is_root())
            return;
        std::filesystem::create_directories(target.output.parent_path());
        write_text_file(target.output, figures + "\n");
        context.logger.info(fmt::format("{} written", target.output.native()));
    });
    return ExitStatus::done;
}

ExitStatus run_win_rate_stage(const CommandContext& context, const Config& config,
                              const EvaluationTarget& target) {
    const Deadline deadline = make_deadline(config.run);
    const lm::ModelRanks ranks(context.comm, config.run.tensor_parallel);
    return with_cost(context, config, "evaluate win-rate", [&] {
        return ranks.run([&] {
            return evaluation::run_win_rate(
                ranks,
                {config.run, config.models, config.evaluate, target.model,
                 synthesis::pair_file_path(config.run), target.output,
                 provenance_json(context.comm.size(), context.command_line), context.logger},
                deadline);
        });
    });
}

}  // namespace popalign::app
