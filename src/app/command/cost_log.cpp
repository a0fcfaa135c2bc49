#include "app/command/cost_log.hpp"

#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>

#include <c10/core/Device.h>

namespace popalign {

ExitStatus with_cost(const CommandContext& context, const Config& config, const std::string& stage,
                     const std::function<ExitStatus()>& body,
                     const std::function<void(StageCost&)>& count) {
    const CostMeter meter(context.comm);
    const ExitStatus status = body();
    const DeviceKind device =
        select_device(config.run.device, 0).is_cpu() ? DeviceKind::cpu : DeviceKind::gpu;
    StageCost cost = meter.finish(stage, device);
    run_on_all(context.comm, [&] {
        if (!context.comm.is_root())
            return;
        if (count && status == ExitStatus::done)
            count(cost);
        append_cost(config.run.directory, cost);
    });
    return status;
}

}  // namespace popalign
