#include "app/command/cost_log.hpp"

#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>

#include <c10/core/Device.h>

namespace popalign::app {

ExitStatus with_cost(const CommandContext& context, const Config& config, const std::string& stage,
                     const std::function<ExitStatus()>& body,
                     const std::function<void(campaign::StageCost&)>& count) {
    const campaign::CostMeter meter(context.comm);
    const ExitStatus status = body();
    const campaign::DeviceKind device = lm::select_device(config.run.device, 0).is_cpu()
                                            ? campaign::DeviceKind::cpu
                                            : campaign::DeviceKind::gpu;
    campaign::StageCost cost = meter.finish(stage, device);
    comm::run_on_all(context.comm, [&] {
        if (!context.comm.is_root())
            return;
        if (count && status == ExitStatus::done)
            count(cost);
        campaign::append_cost(config.run.directory, cost);
    });
    return status;
}

}  // namespace popalign::app
