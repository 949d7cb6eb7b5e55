#include "sched/internal/sliding_room.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/rng.h"
#include "sched/availability.h"
#include "sched/testing/naive_availability.h"

namespace trainyard::sched {
namespace {

constexpr TimePoint kNow = time_from_micros(1'000'000'000);

TimePoint at(Duration since_now) { return kNow + since_now; }

Demand cores(std::int64_t count) {
  Demand demand;
  demand.amounts[kCpu] = count * 1000;
  return demand;
}

// --- one window after the other

/// Two nodes with devices, running jobs and holds anywhere, with room or without.
struct Timeline {
  explicit Timeline(Rng& rng) : lines(cluster, kNow) {
    for (int node = 0; node < 2; ++node) {
      NodeInfo info;
      info.name = {"n" + std::to_string(node)};
      info.capacity[kCpu] = 16'000;
      info.capacity[kGpu] = 4'000;
      EXPECT_TRUE(cluster.add_node(std::move(info)).ok());
    }
    for (std::uint64_t id = rng.below(20); id > 0; --id) {
      RunningJob job;
      job.job.id = JobId(id);
      job.job.demand = cores(1);
      job.job.shape = cluster.intern(job.job.demand, nullptr);
      job.nodes = {{static_cast<NodeIndex>(id % 2), 1, 0}};
      job.limit_end = rng.below(6) == 0 ? kNever : at(Duration(static_cast<std::int64_t>(rng.below(400))));
      cluster.start(std::move(job));
    }
    for (std::uint64_t i = rng.below(250); i > 0; --i) {
      Demand demand = cores(static_cast<std::int64_t>(1 + rng.below(3)));
      if (rng.below(2) == 0) demand.ask_gpus(1, static_cast<std::int32_t>(100 * (1 + rng.below(5))));
      const auto devices = static_cast<DeviceMask>(demand.gpus == 0 ? 0 : 1U << rng.below(4));
      const TimePoint from = at(Duration(static_cast<std::int64_t>(rng.below(500))));
      const TimePoint to = rng.below(80) == 0 ? kNever : from + Duration(static_cast<std::int64_t>(1 + rng.below(20)));
      lines.take(demand, {static_cast<NodeIndex>(rng.below(2)), 1, devices}, from, to);
    }
  }

  ClusterSnapshot cluster;
  NodeTimelines lines;
};

/// Moves a window over both nodes in steps of all sizes, by turns at one end or at both.
void compare_windows(std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed);
  Timeline timeline(rng);
  SlidingRoom sliding(timeline.lines);
  for (int sweep = 0; sweep < 4; ++sweep) {
    Demand demand = cores(static_cast<std::int64_t>(1 + rng.below(4)));
    if (rng.below(2) == 0) demand.ask_gpus(static_cast<std::int32_t>(1 + rng.below(2)));
    if (rng.below(2) == 0) demand.ask_gpus(1, static_cast<std::int32_t>(100 * (1 + rng.below(9))));
    const auto limit = static_cast<std::uint32_t>(1 + rng.below(20));
    sliding.begin(2, demand, limit);
    const std::uint64_t stride = 2 + rng.below(40);
    const std::uint64_t width = 1 + rng.below(100);
    TimePoint from = kNow;
    TimePoint last = kNow;
    while (from < at(Duration{600})) {
      from += Duration(static_cast<std::int64_t>(rng.below(stride)));
      last = std::max({last, from, from + Duration(static_cast<std::int64_t>(rng.below(width)))});
      timeline.lines.load_until(last);
      for (NodeIndex node = 0; node < 2; ++node) {
        if (!timeline.lines.touched(node) || rng.below(4) == 0) continue;
        NodeFree scratch;
        const std::uint32_t expected = timeline.lines.least(node, from, last, scratch).slots(demand, limit);
        if (sliding.blocked(node, from)) {
          ASSERT_EQ(expected, 0U);
        }
        ASSERT_EQ(sliding.slots(node, from, last), expected) << (from - kNow).count() << " to " << (last - kNow).count();
        ASSERT_EQ(timeline.lines.slots(node, from, last, demand, limit), expected);
      }
    }
  }
}

TEST(SlidingRoom, random_windows_hold_the_least_over_their_steps) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    compare_windows(seed);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

// --- availability of crowded nodes

struct HeldInterval {
  Demand demand;
  Placement nodes;
  TimePoint from;
  TimePoint to;
};

/// Hundreds of holds on few nodes that many of them share. Most are made where and when there is room, as backfill makes them.
class Crowd {
 public:
  explicit Crowd(std::uint64_t seed) : rng_(seed) {
    const std::size_t count = 1 + rng_.below(4);
    gpus_ = static_cast<std::int64_t>(2 * rng_.below(3));
    for (std::size_t i = 0; i < count; ++i) add_node(i);
    for (int i = 0; i < 5; ++i) add_shape();
    for (std::uint64_t id = rng_.below(40); id > 0; --id) {
      const ShapeId shape = random_shape();
      const Placement nodes =
          put(cluster_.shape(shape).slots, shape, 1 + rng_.below(2), [this](NodeIndex n) { return cluster_.node(n).free; });
      if (!nodes.empty()) run(id, cluster_.shape(shape).demand, nodes, random_end(kNow));
    }
    tested_ = make_node_availability(cluster_, kNow);
    expected_ = std::make_unique<testing::NaiveAvailability>(cluster_, kNow);
  }

  std::size_t holds() const { return held_.size(); }
  void reserve(bool compare) {
    const ShapeId shape = random_shape();
    const auto tasks = static_cast<std::int64_t>(1 + rng_.below(5));
    const Duration length = random_length();
    const TimePoint after = rng_.below(4) == 0 ? random_time() : kNow;
    const std::optional<TimePoint> time = tested_->first_time(shape, tasks, length, after);
    if (compare) {
      ASSERT_EQ(time, expected_->first_time(shape, tasks, length, after));
    }
    if (!time) return;
    const TimePoint end = end_after(*time, length);
    const Room room = tested_->room(shape, *time, end);
    ASSERT_GE(room.total, tasks);
    hold({cluster_.shape(shape).demand,
          put(room.slots, shape, static_cast<std::uint64_t>(tasks), [&](NodeIndex node) { return tested_->free_over(node, *time, end); }),
          *time, end});
  }
  /// Takes room whether there is any or not.
  void claim() {
    const ShapeId shape = random_shape();
    const std::vector<std::uint32_t> everywhere(cluster_.nodes().size(), 1);
    const TimePoint from = random_time();
    hold({cluster_.shape(shape).demand,
          put(everywhere, shape, 2, [this](NodeIndex n) { return empty_node(cluster_.node(n).info->capacity); }), from, random_end(from)});
  }
  void drop_one() {
    if (held_.empty()) return;
    std::swap(held_[rng_.below(held_.size())], held_.back());
    const HeldInterval& victim = held_.back();
    tested_->drop(victim.demand, victim.nodes, victim.from, victim.to);
    expected_->drop(victim.demand, victim.nodes, victim.from, victim.to);
    held_.pop_back();
  }
  void compare_room() {
    const ShapeId shape = random_shape();
    const TimePoint from = rng_.below(3) == 0 ? kNow : random_time();
    const TimePoint to = rng_.below(9) == 0 ? random_time() : random_end(from);
    ASSERT_EQ(tested_->room(shape, from, to).slots, expected_->room(shape, from, to).slots);
    const auto node = static_cast<NodeIndex>(rng_.below(cluster_.nodes().size()));
    ASSERT_EQ(tested_->free_over(node, from, to), expected_->free_over(node, from, to));
  }

 private:
  void add_node(std::size_t index) {
    NodeInfo info;
    info.name = {"n" + std::to_string(index)};
    info.capacity[kCpu] = 16'000;
    info.capacity[kGpu] = gpus_ * 1000;
    EXPECT_TRUE(cluster_.add_node(std::move(info)).ok());
  }
  void run(std::uint64_t id, const Demand& demand, const Placement& nodes, TimePoint limit_end) {
    RunningJob job;
    job.job.id = JobId(id);
    job.job.demand = demand;
    job.job.shape = cluster_.intern(demand, nullptr);
    job.job.tasks = static_cast<std::int32_t>(task_count(nodes));
    job.nodes = nodes;
    job.limit_end = limit_end;
    cluster_.start(std::move(job));
  }
  void add_shape() {
    Demand demand = cores(static_cast<std::int64_t>(1 + rng_.below(4)));
    if (gpus_ > 0 && rng_.below(2) == 0) demand.ask_gpus(static_cast<std::int32_t>(1 + rng_.below(2)));
    if (gpus_ > 0 && rng_.below(2) == 0) demand.ask_gpus(1, static_cast<std::int32_t>(100 * (1 + rng_.below(9))));
    if (demand.gpus > 0 && rng_.below(2) == 0) demand.amounts[kCpu] = 0;
    auto constraints = std::make_shared<Constraints>();  // shared: as jobs of one shape share theirs
    constraints->tasks_per_node_max = static_cast<std::int32_t>(rng_.below(4));
    shapes_.push_back(cluster_.intern(demand, constraints));
  }
  ShapeId random_shape() { return shapes_[rng_.below(shapes_.size())]; }
  TimePoint random_time() { return at(Duration(static_cast<std::int64_t>(rng_.below(600)))); }
  /// Mostly short, seldom longer than everything.
  Duration random_length() {
    if (rng_.below(60) == 0) return kForever;
    return Duration(static_cast<std::int64_t>(1 + rng_.below(rng_.below(8) == 0 ? 300 : 40)));
  }
  TimePoint random_end(TimePoint from) { return end_after(from, random_length()); }
  /// At most `tasks` tasks on the first nodes with slots.
  Placement put(const std::vector<std::uint32_t>& slots, ShapeId shape, std::uint64_t tasks,
                const std::function<NodeFree(NodeIndex)>& free_on) {
    const Demand& demand = cluster_.shape(shape).demand;
    Placement placement;
    for (NodeIndex node = 0; node < slots.size(); ++node) {
      NodeFree free = free_on(node);
      for (std::uint32_t i = 0; i < slots[node] && tasks > 0; ++i, --tasks) {
        DeviceMask devices = free.devices_with(demand.gpu_milli);
        while (std::popcount(devices) > demand.gpus) devices = static_cast<DeviceMask>(devices & (devices - 1));
        placement.push_back({node, 1, devices});
        free.take(demand, 1, devices);
      }
    }
    return placement;
  }
  void hold(HeldInterval interval) {
    tested_->hold(interval.demand, interval.nodes, interval.from, interval.to);
    expected_->hold(interval.demand, interval.nodes, interval.from, interval.to);
    held_.push_back(std::move(interval));
  }

  SeededRng rng_;
  ClusterSnapshot cluster_;
  std::int64_t gpus_ = 0;
  std::vector<ShapeId> shapes_;
  std::unique_ptr<Availability> tested_;
  std::unique_ptr<Availability> expected_;
  std::vector<HeldInterval> held_;
};

/// Fills the nodes, changes the plans in the middle and takes them back.
void compare_when_crowded(std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed + 1'000'000);
  Crowd crowd(seed);
  const std::size_t most = 100 + rng.below(300);
  for (int step = 0; crowd.holds() < most && step < 1000; ++step) {
    crowd.reserve(rng.below(10) == 0);
    if (rng.below(25) == 0) crowd.claim();
    if (rng.below(5) == 0) crowd.drop_one();
    if (rng.below(4) == 0) crowd.compare_room();
    if (::testing::Test::HasFatalFailure()) return;
  }
  while (crowd.holds() > 0) {
    crowd.drop_one();
    if (rng.below(10) == 0) crowd.reserve(true);
    if (rng.below(4) == 0) crowd.compare_room();
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(NodeAvailability, hundreds_of_holds_on_few_shared_nodes_are_answered_as_defined) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    compare_when_crowded(seed);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace trainyard::sched
