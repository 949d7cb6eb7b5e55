#include "agent/hardware.h"

#include <gtest/gtest.h>

#include "agent/command.h"
#include "base/file.h"

namespace trainyard::agent {
namespace {

using namespace std::chrono_literals;

const std::vector<exec::GpuDevice> kTwo{{0, "GPU-a", "H200", 1 << 30}, {1, "GPU-b", "H200", 1 << 30}};

/// A machine below a temporary directory, with a program that answers for nvidia-smi.
class HardwareTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root = make_temporary_directory("trainyard-hardware-test").value();
    sources = {.proc = root + "/proc", .nvidia_smi = root + "/nvidia-smi", .deadline = 5s};
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(root).ok()); }
  void add_gpu(const std::string& bus, const std::string& uuid, const std::string& more = "") const {
    const std::string directory = root + "/proc/driver/nvidia/gpus/" + bus;
    ASSERT_TRUE(make_directories(directory).ok());
    ASSERT_TRUE(write_file_atomically(directory + "/information", "Model: \t\t NVIDIA H200\nIRQ:   \t\t 42\nGPU UUID: \t " + uuid +
                                                                      "\nBus Location: \t " + bus + "\nDevice Minor: \t 0\n" + more)
                    .ok());
  }
  void nvidia_smi_is(const std::string& script) const {
    ASSERT_TRUE(write_file_atomically(root + "/nvidia-smi", "#!/bin/sh\n" + script, 0700).ok());
  }
  std::vector<exec::GpuDevice> discovered() const { return discover_gpus(sources, clock); }

  std::string root;
  GpuSources sources;
  SystemClock clock;
};

TEST_F(HardwareTest, machine_without_driver_has_no_gpus_and_nobody_is_asked) {
  nvidia_smi_is("touch " + root + "/asked; echo '0, GPU-x, H200, 1'");
  EXPECT_TRUE(discovered().empty());
  EXPECT_FALSE(file_exists(root + "/asked"));
}

TEST_F(HardwareTest, answer_of_nvidia_smi_counts_where_there_is_a_driver) {
  add_gpu("0000:01:00.0", "GPU-1");
  nvidia_smi_is("echo \"$*\" >" + root + "/question; echo '1, GPU-2, NVIDIA H200, 143771'; echo '0, GPU-1, NVIDIA H200, 143771'");
  const std::vector<exec::GpuDevice> expected{{0, "GPU-1", "NVIDIA H200", 143'771LL << 20}, {1, "GPU-2", "NVIDIA H200", 143'771LL << 20}};
  EXPECT_EQ(discovered(), expected);
  EXPECT_EQ(read_file(root + "/question").value(), "--query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits\n");
}

TEST_F(HardwareTest, proc_has_to_do_where_nvidia_smi_is_missing_fails_or_says_nothing) {
  add_gpu("0000:81:00.0", "GPU-\?\?\?\?\?");
  add_gpu("0000:01:00.0", "GPU-1");
  add_gpu("0000:02:00.0", "GPU-2", "GPU Excluded: \t Yes\n");
  const std::vector<exec::GpuDevice> expected{{0, "GPU-1", "NVIDIA H200", 0}, {1, "", "NVIDIA H200", 0}};
  EXPECT_EQ(discovered(), expected);
  nvidia_smi_is("echo 'NVIDIA-SMI has failed'; exit 9");
  EXPECT_EQ(discovered(), expected);
  nvidia_smi_is("echo 'No devices were found'");
  EXPECT_EQ(discovered(), expected);
}

TEST_F(HardwareTest, nvidia_smi_that_hangs_is_killed_at_the_deadline_with_its_children) {
  add_gpu("0000:01:00.0", "GPU-1");
  nvidia_smi_is("sleep 1000 & sleep 1000");
  sources.deadline = 100ms;
  const MonotonicPoint before = clock.monotonic_now();
  EXPECT_EQ(discovered().size(), 1u);
  EXPECT_LT(clock.monotonic_now() - before, 5s);
}

TEST(NvidiaSmi, odd_lines_are_skipped_and_unknown_memory_is_zero) {
  const std::vector<exec::GpuDevice> gpus = parse_nvidia_smi("\nindex, uuid\n0, GPU-1, GB10, the small one, [N/A]\nx, GPU-2, H, 1\n");
  EXPECT_EQ(gpus, (std::vector<exec::GpuDevice>{{0, "GPU-1", "GB10, the small one", 0}}));
}

TEST(SelectGpus, selection_is_all_none_a_number_or_a_list) {
  const auto selected = [](const std::string& text) { return select_gpus(kTwo, text).value(); };
  EXPECT_EQ(selected(""), kTwo);
  EXPECT_EQ(selected("all"), kTwo);
  EXPECT_TRUE(selected("none").empty());
  EXPECT_TRUE(selected("0").empty());
  EXPECT_EQ(selected("1"), (std::vector<exec::GpuDevice>{kTwo[0]}));
  EXPECT_EQ(selected("1,"), (std::vector<exec::GpuDevice>{kTwo[1]}));
  EXPECT_EQ(selected("1, 0"), kTwo);
  for (const char* bad : {"3", "2,", "0,2", "x", "0;1", "-1", ",0"}) {
    EXPECT_EQ(select_gpus(kTwo, bad).ok() ? "accepted" : select_gpus(kTwo, bad).error().id, "agent.gpus") << bad;
  }
}

TEST(Labels, pairs_are_read_and_anything_else_is_refused) {
  const std::map<std::string, std::string> expected{{"rack", "r1"}, {"zone", ""}, {"example.org/kind", "big_one"}};
  EXPECT_EQ(parse_labels("rack=r1, zone=,example.org/kind=big_one").value(), expected);
  EXPECT_TRUE(parse_labels("").value().empty());
  for (const std::string& bad : {std::string("rack"), std::string("=x"), std::string("a=b c"), std::string("a=1,a=2"), std::string("a=1,"),
                                 "a=" + std::string(64, 'x')}) {
    EXPECT_EQ(parse_labels(bad).ok() ? "accepted" : parse_labels(bad).error().id, "agent.labels") << bad;
  }
}

TEST_F(HardwareTest, description_holds_automatic_labels_that_given_ones_replace) {
  add_gpu("0000:01:00.0", "GPU-1");
  const exec::NodeFacts facts =
      describe_node({.gpus = "none", .labels = {{"host", "mine"}, {"rack", "r1"}}, .pool = "p", .address = "10.0.0.1"}, sources, clock)
          .value();
  EXPECT_EQ(facts.labels.at("os"), "linux");
  EXPECT_FALSE(facts.labels.at("arch").empty());
  EXPECT_EQ(facts.labels.at("host"), "mine");
  EXPECT_EQ(facts.labels.at("rack"), "r1");
  EXPECT_TRUE(facts.gpus.empty());
  EXPECT_EQ(facts.pool, "p");
  EXPECT_EQ(facts.address, "10.0.0.1");
  EXPECT_EQ(describe_node({}, sources, clock).value().gpus.size(), 1u);
  EXPECT_FALSE(describe_node({.gpus = "2", .labels = {}}, sources, clock).ok());
}

TEST(VisibleDevices, ranks_see_the_devices_they_were_given_and_no_others) {
  exec::RankLaunch launch;
  EXPECT_FALSE(with_visible_devices(launch, {}).env.contains("CUDA_VISIBLE_DEVICES")) << "a node without GPUs changes nothing";
  EXPECT_EQ(with_visible_devices(launch, kTwo).env.at("CUDA_VISIBLE_DEVICES"), "");
  launch.devices = {1, 0};
  EXPECT_EQ(with_visible_devices(launch, kTwo).env.at("CUDA_VISIBLE_DEVICES"), "GPU-b,GPU-a");
  launch.devices = {1, 7};
  launch.env["CUDA_VISIBLE_DEVICES"] = "3";
  EXPECT_EQ(with_visible_devices(launch, {{1, "", "old", 0}}).env.at("CUDA_VISIBLE_DEVICES"), "1,7");
}

TEST(Command, output_comes_back_and_failures_say_what_happened) {
  const SystemClock clock;
  EXPECT_EQ(run_command({"echo", "a b"}, {}, clock).value(), "a b\n");
  EXPECT_EQ(run_command({"no-such-program-anywhere"}, {}, clock).error().id, "command.not_found");
  EXPECT_EQ(run_command({"sh", "-c", "exit 3"}, {}, clock).error().id, "command.failed");
  EXPECT_EQ(run_command({"sh", "-c", "kill -9 $$"}, {}, clock).error().id, "command.failed");
  EXPECT_EQ(run_command({"yes"}, {.deadline = 10s, .output_max = 1000}, clock).error().id, "command.output");
  EXPECT_EQ(run_command({"sleep", "1000"}, {.deadline = 50ms}, clock).error().id, "command.deadline");
}

}  // namespace
}  // namespace trainyard::agent
