#include "sched/availability.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/rng.h"
#include "sched/testing/naive_availability.h"

namespace trainyard::sched {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow = time_from_micros(1'000'000'000);

TimePoint at(Duration since_now) { return kNow + since_now; }

Demand cores(std::int64_t count) {
  Demand demand;
  demand.amounts[kCpu] = count * 1000;
  return demand;
}

Demand gpus(std::int32_t devices, std::int32_t milli = 1000) {
  Demand demand;
  demand.ask_gpus(devices, milli);
  return demand;
}

NodeInfo node_info(std::size_t index, std::int64_t core_count, std::int64_t gpu_count = 0) {
  NodeInfo info;
  info.name = {"n" + std::to_string(index)};
  info.capacity[kCpu] = core_count * 1000;
  info.capacity[kGpu] = gpu_count * 1000;
  return info;
}

ClusterSnapshot cluster_of(std::size_t count, std::int64_t core_count = 1, std::int64_t gpu_count = 0) {
  ClusterSnapshot cluster;
  for (std::size_t i = 0; i < count; ++i) EXPECT_TRUE(cluster.add_node(node_info(i, core_count, gpu_count)).ok());
  return cluster;
}

void run(ClusterSnapshot& cluster, std::uint64_t id, const Demand& demand, const Placement& nodes, TimePoint limit_end) {
  RunningJob job;
  job.job.id = JobId(id);
  job.job.demand = demand;
  job.job.shape = cluster.intern(demand, nullptr);
  job.job.tasks = static_cast<std::int32_t>(task_count(nodes));
  job.nodes = nodes;
  job.started_at = kNow - 1s;
  job.limit_end = limit_end;
  cluster.start(std::move(job));
}

std::vector<NodeIndex> nodes_of(const Room& room) {
  std::vector<NodeIndex> nodes;
  room.nodes.each([&nodes](NodeIndex node) { nodes.push_back(node); });
  return nodes;
}

Placement on(const std::vector<NodeIndex>& nodes) {
  Placement placement;
  for (const NodeIndex node : nodes) placement.push_back({node, 1, 0});
  return placement;
}

using Nodes = std::vector<NodeIndex>;
using Maker = std::unique_ptr<Availability> (*)(const ClusterSnapshot&, TimePoint);

std::unique_ptr<Availability> make_naive(const ClusterSnapshot& cluster, TimePoint now) {
  return std::make_unique<testing::NaiveAvailability>(cluster, now);
}

struct Kind {
  const char* name;
  Maker make;
};

class AvailabilityContract : public ::testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Availability> make(const ClusterSnapshot& cluster) const { return GetParam().make(cluster, kNow); }
};

TEST_P(AvailabilityContract, idle_cluster_has_room_for_ever) {
  ClusterSnapshot cluster = cluster_of(3, 4);
  const ShapeId shape = cluster.intern(cores(2), nullptr);
  const auto availability = make(cluster);
  const Room room = availability->room(shape, kNow, kNever);
  EXPECT_EQ(room.total, 6);
  EXPECT_EQ(room.slots, (std::vector<std::uint32_t>{2, 2, 2}));
  EXPECT_EQ(availability->first_time(shape, 6, kForever, kNow), kNow);
  EXPECT_EQ(availability->first_time(shape, 7, 1s, kNow), std::nullopt);
}

// It is 4 in the worked example of EASY: host 0 has become free, J1 runs on hosts 1 and 2 until 5, and J2 asks for two hosts.
TEST_P(AvailabilityContract, first_fit_of_the_easy_example_protects_the_reservation) {
  ClusterSnapshot cluster = cluster_of(3);
  const ShapeId shape = cluster.intern(cores(1), nullptr);
  run(cluster, 1, cores(1), on({1, 2}), at(1s));
  const auto availability = make(cluster);
  EXPECT_EQ(availability->first_time(shape, 2, 2s, kNow), at(1s));
  EXPECT_EQ(nodes_of(availability->room(shape, at(1s), at(3s))), (Nodes{0, 1, 2}));
  availability->hold(cores(1), on({0, 1}), at(1s), at(3s));
  // J3 (1 host, 3 s) would need host 0 beyond the reservation's start.
  EXPECT_EQ(availability->room(shape, kNow, at(3s)).total, 0);
  EXPECT_EQ(availability->first_time(shape, 1, 3s, kNow), at(1s));
  EXPECT_EQ(nodes_of(availability->room(shape, at(1s), at(4s))), (Nodes{2}));
  // A job that is over by then may have host 0.
  EXPECT_EQ(nodes_of(availability->room(shape, kNow, at(1s))), (Nodes{0}));
}

// It is 5 in the worked example of conservative backfill: J1 has ended, and J0 holds host 0 until 6.
TEST_P(AvailabilityContract, compression_of_the_conservative_example_moves_one_job_at_a_time) {
  ClusterSnapshot cluster = cluster_of(3);
  const ShapeId shape = cluster.intern(cores(1), nullptr);
  run(cluster, 0, cores(1), on({0}), at(1s));
  const auto availability = make(cluster);
  availability->hold(cores(1), on({0, 1, 2}), at(4s), at(6s));  // J2 [9, 11)
  availability->hold(cores(1), on({0}), at(1s), at(3s));        // J3 [6, 8)
  availability->drop(cores(1), on({0, 1, 2}), at(4s), at(6s));
  EXPECT_EQ(availability->first_time(shape, 3, 2s, kNow), at(3s));  // 8: J3 keeps its place
  availability->hold(cores(1), on({0, 1, 2}), at(3s), at(5s));
  availability->drop(cores(1), on({0}), at(1s), at(3s));
  EXPECT_EQ(availability->first_time(shape, 1, 2s, kNow), kNow);
  EXPECT_EQ(nodes_of(availability->room(shape, kNow, at(2s))), (Nodes{1, 2}));
}

TEST_P(AvailabilityContract, job_past_its_limit_ends_in_a_moment) {
  ClusterSnapshot cluster = cluster_of(1);
  const ShapeId shape = cluster.intern(cores(1), nullptr);
  run(cluster, 1, cores(1), on({0}), at(-5s));
  const auto availability = make(cluster);
  EXPECT_EQ(availability->room(shape, kNow, kNever).total, 0);
  EXPECT_EQ(availability->first_time(shape, 1, 1s, kNow), at(1us));
}

TEST_P(AvailabilityContract, job_without_a_limit_never_gives_back) {
  ClusterSnapshot cluster = cluster_of(1);
  const ShapeId shape = cluster.intern(cores(1), nullptr);
  run(cluster, 1, cores(1), on({0}), kNever);
  EXPECT_EQ(make(cluster)->first_time(shape, 1, 1s, kNow), std::nullopt);
}

TEST_P(AvailabilityContract, claim_on_taken_room_leaves_less_than_nothing) {
  ClusterSnapshot cluster = cluster_of(1, 4);
  const ShapeId shape = cluster.intern(cores(1), nullptr);
  run(cluster, 1, cores(3), on({0}), at(5s));
  const auto availability = make(cluster);
  availability->hold(cores(3), on({0}), kNow, kNever);
  EXPECT_EQ(availability->free_over(0, kNow, at(1s)).amounts[kCpu], -2000);
  EXPECT_EQ(availability->room(shape, kNow, at(1s)).total, 0);
  EXPECT_EQ(availability->first_time(shape, 1, 1s, kNow), at(5s));
  availability->drop(cores(3), on({0}), kNow, kNever);
  EXPECT_EQ(availability->room(shape, kNow, at(1s)).total, 1);
}

TEST_P(AvailabilityContract, shares_of_devices_are_counted_device_by_device_over_the_window) {
  ClusterSnapshot cluster = cluster_of(1, 8, 2);
  const ShapeId share = cluster.intern(gpus(1, 600), nullptr);
  const ShapeId whole = cluster.intern(gpus(2), nullptr);
  const auto availability = make(cluster);
  availability->hold(gpus(1, 600), {{0, 1, 1}}, kNow, at(2s));
  availability->hold(gpus(1, 600), {{0, 1, 2}}, at(2s), at(4s));
  EXPECT_EQ(availability->room(share, kNow, at(2s)).total, 1);
  EXPECT_EQ(availability->room(share, kNow, at(3s)).total, 0);  // one device at a time, but never the same
  EXPECT_EQ(availability->first_time(whole, 1, 1s, kNow), at(4s));
}

TEST_P(AvailabilityContract, node_that_is_drained_has_no_room_at_any_time) {
  ClusterSnapshot cluster = cluster_of(2);
  const ShapeId shape = cluster.intern(cores(1), nullptr);
  run(cluster, 1, cores(1), on({0, 1}), at(5s));
  cluster.set_drained(0, true);
  const auto availability = make(cluster);
  EXPECT_EQ(nodes_of(availability->room(shape, at(5s), at(6s))), (Nodes{1}));
  EXPECT_EQ(availability->first_time(shape, 2, 1s, kNow), std::nullopt);
}

TEST_P(AvailabilityContract, empty_interval_holds_nothing) {
  ClusterSnapshot cluster = cluster_of(1);
  const ShapeId shape = cluster.intern(cores(1), nullptr);
  const auto availability = make(cluster);
  availability->hold(cores(1), on({0}), at(-9s), at(-1s));
  availability->hold(cores(1), {}, kNow, at(1s));
  EXPECT_EQ(availability->room(shape, kNow, kNever).total, 1);
  EXPECT_EQ(availability->first_time(shape, 1, 1s, at(1us)), std::nullopt);
  availability->drop(cores(1), on({0}), at(-9s), at(-1s));
}

TEST_P(AvailabilityContract, later_candidate_is_found_when_the_first_is_passed_over) {
  ClusterSnapshot cluster = cluster_of(3);
  const ShapeId shape = cluster.intern(cores(1), nullptr);
  run(cluster, 1, cores(1), on({0}), at(2s));
  run(cluster, 2, cores(1), on({1}), at(4s));
  const auto availability = make(cluster);
  EXPECT_EQ(availability->first_time(shape, 1, 1s, kNow), kNow);
  EXPECT_EQ(availability->first_time(shape, 1, 1s, at(1us)), at(2s));
  EXPECT_EQ(availability->first_time(shape, 1, 1s, at(2s)), at(2s));
  EXPECT_EQ(availability->first_time(shape, 1, 1s, at(2s + 1us)), at(4s));
  EXPECT_EQ(availability->first_time(shape, 1, 1s, at(4s + 1us)), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Kinds, AvailabilityContract,
                         ::testing::Values(Kind{"naive", make_naive}, Kind{"node", make_node_availability},
                                           Kind{"host", make_host_availability}),
                         [](const ::testing::TestParamInfo<Kind>& kind) { return kind.param.name; });

// --- random comparison with the definition

/// A random cluster with shapes, running jobs and holds to come.
class World {
 public:
  World(Rng& rng, bool whole_nodes) : rng_(rng), whole_nodes_(whole_nodes) {
    const std::size_t count = 1 + rng.below(9);
    for (std::size_t i = 0; i < count; ++i) add_node(i);
    const std::size_t shape_count = 1 + rng.below(5);
    for (std::size_t i = 0; i < shape_count; ++i) add_shape();
    for (std::uint64_t id = rng.below(30); id > 0; --id) add_running(id);
    for (NodeIndex node = 0; node < cluster.nodes().size(); ++node) {
      if (rng.below(8) == 0) cluster.set_drained(node, true);
      if (rng.below(8) == 0) cluster.set_ready(node, false);
    }
  }

  ShapeId random_shape() { return shapes[rng_.below(shapes.size())]; }
  /// Few different times, so that many of them meet.
  TimePoint random_time() { return rng_.below(9) == 0 ? kNever : at(Duration(static_cast<std::int64_t>(rng_.below(25)))); }
  Duration random_length() { return rng_.below(9) == 0 ? kForever : Duration(static_cast<std::int64_t>(1 + rng_.below(12))); }
  /// Tasks of the shape on some of its nodes, with or without room.
  Placement random_placement(ShapeId shape) {
    Placement placement;
    cluster.shape(shape).allowed.each([&](NodeIndex node) {
      if (rng_.below(3) != 0) return;
      const Demand& demand = cluster.shape(shape).demand;
      const NodeFree free = empty_node(cluster.node(node).info->capacity);
      if (demand.gpus > free.devices) return;
      DeviceMask devices = 0;
      while (std::popcount(devices) < demand.gpus) devices = static_cast<DeviceMask>(devices | 1U << rng_.below(free.devices));
      placement.push_back({node, 1, devices});
    });
    return placement;
  }

  ClusterSnapshot cluster;
  std::vector<ShapeId> shapes;

 private:
  void add_node(std::size_t index) {
    NodeInfo info = node_info(index, static_cast<std::int64_t>(1 + rng_.below(6)), static_cast<std::int64_t>(rng_.below(4)));
    info.pool = rng_.below(3) == 0 ? "other" : "default";
    if (rng_.below(6) == 0) info.taints.insert("special");
    EXPECT_TRUE(cluster.add_node(std::move(info)).ok());
  }
  void add_shape() {
    Demand demand = cores(static_cast<std::int64_t>(whole_nodes_ ? 4 + rng_.below(3) : 1 + rng_.below(4)));
    if (rng_.below(3) == 0) demand.ask_gpus(static_cast<std::int32_t>(1 + rng_.below(2)));
    if (rng_.below(3) == 0) demand.ask_gpus(1, static_cast<std::int32_t>(100 * (1 + rng_.below(9))));
    if (!whole_nodes_ && rng_.below(3) == 0) demand.amounts[kCpu] = 0;
    std::shared_ptr<Constraints> constraints;  // shared: as jobs of one shape share theirs
    if (rng_.below(2) == 0) {
      constraints = std::make_shared<Constraints>();
      if (rng_.below(2) == 0) constraints->pool = "default";
      if (rng_.below(2) == 0) constraints->tolerations.insert("special");
      constraints->tasks_per_node_max = static_cast<std::int32_t>(rng_.below(3));
    }
    shapes.push_back(cluster.intern(demand, constraints));
  }
  void add_running(std::uint64_t id) {
    const ShapeId shape = random_shape();
    const Demand demand = cluster.shape(shape).demand;
    Placement placement;
    for (const TaskPlace& place : random_placement(shape)) {
      NodeFree left = cluster.node(place.node).free;
      left.take(demand, 1, place.devices);
      bool fits = true;
      for (const std::int64_t amount : left.amounts.of) fits = fits && amount >= 0;
      for (const std::int16_t milli : left.device_milli) fits = fits && milli >= 0;
      if (fits) placement.push_back(place);
    }
    if (placement.empty()) return;
    RunningJob job;
    job.job.id = JobId(id);
    job.job.demand = demand;
    job.job.shape = shape;
    job.nodes = placement;
    job.limit_end = rng_.below(6) == 0 ? at(-3us) : random_time();
    cluster.start(std::move(job));
  }

  Rng& rng_;
  bool whole_nodes_;
};

struct HeldInterval {
  Demand demand;
  Placement nodes;
  TimePoint from;
  TimePoint to;
};

/// Asks both the same questions while the same holds come and go.
void compare_with_definition(Maker make, std::uint64_t seed, bool whole_nodes) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed);
  World world(rng, whole_nodes);
  const auto tested = make(world.cluster, kNow);
  const auto expected = make_naive(world.cluster, kNow);
  std::vector<HeldInterval> held;
  for (int step = 0; step < 40; ++step) {
    const ShapeId shape = world.random_shape();
    const TimePoint from = rng.below(2) == 0 ? kNow : std::min(world.random_time(), at(30us));
    const Duration length = world.random_length();
    switch (rng.below(6)) {
      case 0:
      case 1: {
        held.push_back({world.cluster.shape(shape).demand, world.random_placement(shape), from, end_after(from, length)});
        tested->hold(held.back().demand, held.back().nodes, held.back().from, held.back().to);
        expected->hold(held.back().demand, held.back().nodes, held.back().from, held.back().to);
        break;
      }
      case 2: {
        if (held.empty()) break;
        const auto victim = held.begin() + static_cast<std::ptrdiff_t>(rng.below(held.size()));
        tested->drop(victim->demand, victim->nodes, victim->from, victim->to);
        expected->drop(victim->demand, victim->nodes, victim->from, victim->to);
        held.erase(victim);
        break;
      }
      case 3: {
        const auto tasks = static_cast<std::int64_t>(1 + rng.below(2 * world.cluster.nodes().size()));
        const std::optional<TimePoint> time = tested->first_time(shape, tasks, length, from);
        ASSERT_EQ(time, expected->first_time(shape, tasks, length, from)) << "step " << step;
        if (!time) break;
        ASSERT_EQ(tested->room(shape, *time, end_after(*time, length)).slots, expected->room(shape, *time, end_after(*time, length)).slots)
            << "step " << step;
        break;
      }
      case 4: {
        const auto node = static_cast<NodeIndex>(rng.below(world.cluster.nodes().size()));
        ASSERT_EQ(tested->free_over(node, from, end_after(from, length)), expected->free_over(node, from, end_after(from, length)));
        break;
      }
      default: {
        const Room room = tested->room(shape, from, end_after(from, length));
        const Room right = expected->room(shape, from, end_after(from, length));
        ASSERT_EQ(room.slots, right.slots) << "step " << step;
        ASSERT_EQ(room.nodes, right.nodes) << "step " << step;
        ASSERT_EQ(room.total, right.total) << "step " << step;
      }
    }
  }
}

TEST(NodeAvailability, random_questions_are_answered_as_defined) {
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    compare_with_definition(make_node_availability, seed, seed % 2 == 0);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(HostAvailability, random_questions_about_whole_nodes_are_answered_as_defined) {
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    compare_with_definition(make_host_availability, seed, true);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(HostAvailability, random_questions_about_shared_nodes_are_answered_as_defined) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    compare_with_definition(make_host_availability, seed, false);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

// --- which one is taken

/// A queue in which jobs of these demands wait, with their shapes in the cluster.
QueueSnapshot queue_of(ClusterSnapshot& cluster, const std::vector<Demand>& demands) {
  QueueSnapshot queue;
  std::uint64_t id = 100;
  for (const Demand& demand : demands) {
    JobSnapshot job;
    job.id = JobId(++id);
    job.seq = id;
    job.demand = demand;
    job.shape = cluster.intern(demand, nullptr);
    queue.add(std::move(job));
  }
  return queue;
}

TEST(WholeNodes, jobs_of_more_than_half_a_node_take_it_whole) {
  ClusterSnapshot cluster = cluster_of(4, 8);
  EXPECT_TRUE(takes_whole_nodes(cluster, queue_of(cluster, {cores(8), cores(5)})));
}

TEST(WholeNodes, job_of_half_a_node_shares_it) {
  ClusterSnapshot cluster = cluster_of(4, 8);
  EXPECT_FALSE(takes_whole_nodes(cluster, queue_of(cluster, {cores(8), cores(4)})));
}

TEST(WholeNodes, jobs_that_are_large_in_different_kinds_share_a_node) {
  ClusterSnapshot cluster = cluster_of(4, 8, 2);
  EXPECT_FALSE(takes_whole_nodes(cluster, queue_of(cluster, {cores(8), gpus(2)})));
}

TEST(WholeNodes, running_job_that_leaves_room_shares_its_node) {
  ClusterSnapshot cluster = cluster_of(4, 8);
  run(cluster, 1, cores(1), on({2}), kNever);
  EXPECT_FALSE(takes_whole_nodes(cluster, queue_of(cluster, {cores(8)})));
}

TEST(MakeAvailability, both_kinds_answer_alike) {
  ClusterSnapshot cluster = cluster_of(4, 8);
  run(cluster, 1, cores(8), on({0, 1}), at(5s));
  const QueueSnapshot queue = queue_of(cluster, {cores(8)});
  for (const bool many : {false, true}) {
    const auto availability = make_availability(cluster, queue, kNow, many);
    availability->hold(cores(8), on({2, 3}), at(3s), at(9s));
    EXPECT_EQ(availability->first_time(0, 2, 4s, kNow), at(5s));
    EXPECT_EQ(availability->first_time(0, 2, 3s, kNow), kNow);
  }
}

}  // namespace
}  // namespace trainyard::sched
