#include "adapters/agent_pool/device_choice.h"

#include <gtest/gtest.h>

namespace trainyard::adapters::agent_pool {
namespace {

using Devices = std::vector<std::uint32_t>;

const std::vector<exec::GpuDevice> kFour{{0, "", "", 0}, {1, "", "", 0}, {2, "", "", 0}, {5, "", "", 0}};

TEST(DeviceChoice, whole_devices_are_free_ones_the_lowest_first) {
  EXPECT_EQ(choose_devices(kFour, {}, 2000), (Devices{0, 1}));
  EXPECT_EQ(choose_devices(kFour, {{0, 1000}, {2, 100}}, 2000), (Devices{1, 5}));
}

TEST(DeviceChoice, fraction_goes_to_the_fullest_device_with_room) {
  EXPECT_EQ(choose_devices(kFour, {}, 250), (Devices{0}));
  EXPECT_EQ(choose_devices(kFour, {{0, 1000}, {1, 250}, {2, 500}}, 500), (Devices{2}));
  EXPECT_EQ(choose_devices(kFour, {{0, 1000}, {1, 250}, {2, 700}}, 500), (Devices{1}));
}

TEST(DeviceChoice, mixed_request_takes_whole_devices_and_then_a_share_of_another) {
  EXPECT_EQ(choose_devices(kFour, {{0, 300}}, 1500), (Devices{1, 0}));
}

TEST(DeviceChoice, room_that_is_left_in_pieces_only_is_shared) {
  const DeviceUse use{{0, 500}, {1, 400}, {2, 900}, {5, 800}};
  EXPECT_EQ(choose_devices(kFour, use, 1000), (Devices{1}));
  EXPECT_EQ(choose_devices(kFour, {{0, 900}, {1, 900}, {2, 900}, {5, 850}}, 500), (Devices{5}));
}

TEST(DeviceChoice, node_without_enough_devices_gives_what_it_has) {
  EXPECT_TRUE(choose_devices({}, {}, 1000).empty());
  EXPECT_TRUE(choose_devices(kFour, {}, 0).empty());
  EXPECT_EQ(choose_devices(kFour, {}, 9000).size(), 4u);
}

TEST(DeviceChoice, use_counts_whole_devices_first) {
  DeviceUse use;
  add_use(use, {3, 0}, 1250);
  add_use(use, {0}, 500);
  EXPECT_EQ(use, (DeviceUse{{0, 750}, {3, 1000}}));
}

}  // namespace
}  // namespace trainyard::adapters::agent_pool
