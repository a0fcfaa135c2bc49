#include "gpu/gpu.hpp"

#include <popalign/comm/device_group.hpp>

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>

namespace popalign {
namespace {

using test::world;

TEST(DeviceGroupTest, ABuildWithNcclSaysSo) {
    EXPECT_TRUE(comm::DeviceGroup::available());
    EXPECT_FALSE(comm::DeviceGroup::library_version().empty());
}

TEST(DeviceGroupTest, SumsOverRanksInPlace) {
    POPALIGN_REQUIRE_GPUS();
    const c10::DeviceGuard guard(test::gpu());
    comm::DeviceGroup group(world());
    const std::pair<at::ScalarType, comm::DeviceElement> types[] = {
        {at::kFloat, comm::DeviceElement::float32},
        {at::kDouble, comm::DeviceElement::float64},
        {at::kBFloat16, comm::DeviceElement::bfloat16}};
    const double ranks = world().size();
    for (const auto& [type, element] : types) {
        at::Tensor data =
            at::full({1000}, world().rank() + 1.0, at::TensorOptions(type).device(test::gpu()));
        group.all_reduce_sum(data.data_ptr(), 1000, element, nullptr);
        EXPECT_EQ(data.to(at::kDouble).min().item<double>(), ranks * (ranks + 1) / 2);
        EXPECT_EQ(data.to(at::kDouble).max().item<double>(), ranks * (ranks + 1) / 2);
    }
    group.close();
}

TEST(DeviceGroupTest, BroadcastsFromTheRoot) {
    POPALIGN_REQUIRE_GPUS();
    const c10::DeviceGuard guard(test::gpu());
    comm::DeviceGroup group(world());
    const int root = world().size() - 1;
    at::Tensor data =
        at::full({77}, world().rank(), at::TensorOptions(at::kFloat).device(test::gpu()));
    group.broadcast(data.data_ptr(), 77, comm::DeviceElement::float32, root, nullptr);
    EXPECT_EQ(data.sum().item<double>(), 77.0 * root);
    group.close();
    group.close();  // closing twice is harmless
}

}  // namespace
}  // namespace popalign
