#include "sim/machine.h"

#include <gtest/gtest.h>

namespace trainyard::sim {
namespace {

Machine machine_of(std::string_view csv) {
  TextInput input = TextInput::over("nodes.csv", csv);
  return read_cluster_csv(input).value();
}

TEST(ClusterCsv, columns_are_found_by_name_and_blanks_mean_none) {
  const Machine machine = machine_of("rack,procs,node_id,gpu_model,gpus,colour\nr1,8,a,V100,4,red\n,2,b,,,\n");
  ASSERT_EQ(machine.nodes.size(), 2U);
  EXPECT_EQ(machine.nodes[0], (MachineNode{.name = "a", .procs = 8, .gpus = 4, .mem_mib = 0, .gpu_model = "V100", .rack = "r1"}));
  EXPECT_EQ(machine.nodes[1], (MachineNode{.name = "b", .procs = 2}));
  EXPECT_EQ(machine.warnings.size(), 1U);
  EXPECT_EQ(machine.procs(), 10);
  EXPECT_EQ(machine.gpus(), 4);
}

TEST(ClusterCsv, written_cluster_reads_back_equal) {
  const Machine machine = machine_of("node_id,procs,gpus,mem_mb,gpu_model,rack\n\"a,b\",8,4,1024,V100,r1\nc,2,0,,,\n");
  EXPECT_EQ(machine_of(cluster_csv(machine)).nodes, machine.nodes);
}

TEST(ClusterCsv, names_that_are_numbers_name_the_hosts_of_schedules) {
  EXPECT_EQ(machine_of("node_id,procs\n7,1\n3,1\n").host_ids, (std::vector<std::uint32_t>{7, 3}));
  EXPECT_EQ(machine_of("node_id,procs\n7,1\nx,1\n").host_ids, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(machine_of("node_id,procs\n07,1\n3,1\n").host_ids, (std::vector<std::uint32_t>{0, 1}));
}

TEST(EqualHosts, plain_hosts_are_processors_alone_and_described_ones_are_not) {
  EXPECT_TRUE(equal_hosts(3).value().processors_alone);
  EXPECT_FALSE(equal_hosts(3, {.procs = 2}).value().processors_alone);
  EXPECT_EQ(equal_hosts(4, {}, 2).value().nodes[3].rack, "rack1");
}

TEST(NodesOfThePlanner, unlimited_memory_is_the_most_a_node_can_have) {
  sched::ClusterSnapshot cluster;
  ASSERT_TRUE(add_nodes(machine_of("node_id,procs,mem_mb\na,1,\nb,1,2\n"), cluster).ok());
  EXPECT_EQ(cluster.node(0).info->capacity[sched::kMemory], std::int64_t{1} << 44);
  EXPECT_EQ(cluster.node(1).info->capacity[sched::kMemory], std::int64_t{2} << 20);
  EXPECT_EQ(cluster.node(1).info->capacity[sched::kCpu], 1000);
}

}  // namespace
}  // namespace trainyard::sim
