#include "app/stages/stages.hpp"
#include "app/sweep/sweep.hpp"

#include <popalign/base/file.hpp>
#include <popalign/base/run_directory.hpp>
#include <popalign/campaign/sweep_results.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace popalign::app {
namespace {

/// Rank 0's state of a part, on all. Collective.
campaign::UnitState agreed_state(const CommandContext& context,
                                 const std::filesystem::path& directory) {
    std::int32_t state = 0;
    if (context.comm.is_root())
        state = static_cast<std::int32_t>(campaign::read_status(directory).state);
    comm::broadcast(context.comm, std::span(&state, 1));
    return static_cast<campaign::UnitState>(state);
}

/// Without the run's own view of the pairs: all runs are compared on the same ones.
Config evaluation_config(const Sweep& sweep, const campaign::SweepUnit& run, Config config) {
    config.run.pairs = sweep.pair_file(sweep.plan.find(run.base).data).native();
    config.train.strategies = sweep.config.train.strategies;
    config.train.proportions.clear();
    return config;
}

ExitStatus make_data(const CommandContext& context, const Config& config) {
    const ExitStatus status = run_synthesize_stage(context, config);
    return status == ExitStatus::done && config.sweep.judge ? run_judge_stage(context, config)
                                                            : status;
}

ExitStatus make_base(const CommandContext& context, const Config& config,
                     const std::filesystem::path& directory) {
    const lm::ModelOptions model =
        comm::run_on_all(context.comm, [&] { return find_model(config, config.train.model); });
    const ExitStatus status = run_train_stage(context, config, preference::TrainGoal::reference);
    return status == ExitStatus::done
               ? run_preference_stage(context, config,
                                      {model, RunDirectory(directory).preference()})
               : status;
}

ExitStatus make_run(const CommandContext& context, const Sweep& sweep,
                    const campaign::SweepUnit& run, const Config& config) {
    const std::filesystem::path directory = sweep.directory(run);
    if (const auto status = run_train_stage(context, config, preference::TrainGoal::model);
        status != ExitStatus::done)
        return status;
    lm::ModelOptions trained =
        comm::run_on_all(context.comm, [&] { return find_model(config, config.train.model); });
    trained.path = RunDirectory(directory).model().native();
    const Config evaluation = evaluation_config(sweep, run, config);
    for (const std::string& name : config.sweep.evaluations) {
        const bool preference = name == "preference";
        const EvaluationTarget target{trained, preference ? RunDirectory(directory).preference()
                                                          : RunDirectory(directory).win_rate()};
        const bool is_made =
            comm::run_on_all(context.comm, [&] { return std::filesystem::exists(target.output); });
        comm::barrier(context.comm);  // nobody makes it before all have looked
        if (is_made)
            continue;
        const ExitStatus status = preference ? run_preference_stage(context, evaluation, target)
                                             : run_win_rate_stage(context, evaluation, target);
        if (status != ExitStatus::done)
            return status;
    }
    comm::run_on_all(context.comm, [&] {
        if (context.comm.is_root() && !config.sweep.keep_models)
            for (const auto& part :
                 {RunDirectory(directory).model(), RunDirectory(directory).train().checkpoints()})
                std::filesystem::remove_all(part);
    });
    return ExitStatus::done;
}

ExitStatus make_unit(const CommandContext& context, const Sweep& sweep,
                     const campaign::SweepUnit& unit) {
    const std::filesystem::path directory = sweep.directory(unit);
    const Config config = comm::run_on_all(context.comm, [&] { return sweep.config_of(unit); });
    comm::run_on_all(context.comm, [&] {
        if (!context.comm.is_root())
            return;
        campaign::write_status(directory,
                               {campaign::UnitState::started, "", 0, context.comm.size()});
        write_text_file(RunDirectory(directory).config(), print_config(config));
    });
    switch (unit.part) {
        case campaign::SweepPart::data:
            return make_data(context, config);
        case campaign::SweepPart::base:
            return make_base(context, config, directory);
        case campaign::SweepPart::run:
            break;
    }
    return make_run(context, sweep, unit, config);
}

}  // namespace

ExitStatus run_unit(const CommandContext& context, const Sweep& sweep,
                    const campaign::SweepUnit& unit) {
    const std::filesystem::path directory = sweep.directory(unit);
    if (agreed_state(context, directory) == campaign::UnitState::done)
        return ExitStatus::done;
    context.logger.info(fmt::format("{} {}", unit.name, unit.mix.name));
    const auto start = std::chrono::steady_clock::now();
    ExitStatus status = ExitStatus::done;
    std::string problem;
    try {
        status = make_unit(context, sweep, unit);
    } catch (const comm::AgreedError& error) {
        status = ExitStatus::failed;
        problem = error.what();
        context.logger.warn(fmt::format("{} failed: {}", unit.name, problem));
    }
    if (status == ExitStatus::requeue)
        return status;
    comm::run_on_all(context.comm, [&] {
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        if (context.comm.is_root())
            campaign::write_status(directory,
                                   {status == ExitStatus::done ? campaign::UnitState::done
                                                               : campaign::UnitState::failed,
                                    problem, seconds.count(), context.comm.size()});
    });
    return status;
}

ExitStatus run_sweep(const CommandContext& context, const Sweep& sweep) {
    std::vector<std::string> failed;
    const auto is_failed = [&](const std::string& name) {
        return std::ranges::find(failed, name) != failed.end();
    };
    for (const auto* units : {&sweep.plan.data, &sweep.plan.bases, &sweep.plan.runs})
        for (const campaign::SweepUnit& unit : *units) {
            if (is_failed(unit.data) || is_failed(unit.base) || is_failed(unit.reference)) {
                failed.push_back(unit.name);
                context.logger.warn(
                    fmt::format("{} is passed over: what it needs failed", unit.name));
                continue;
            }
            const ExitStatus status = run_unit(context, sweep, unit);
            if (status == ExitStatus::requeue)
                return status;
            if (status != ExitStatus::done)
                failed.push_back(unit.name);
        }
    return failed.empty() ? ExitStatus::done : ExitStatus::failed;
}

}  // namespace popalign::app
