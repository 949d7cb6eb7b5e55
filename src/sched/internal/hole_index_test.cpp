#include "sched/internal/hole_index.h"

#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "base/rng.h"

namespace trainyard::sched {
namespace {

TimePoint second(std::uint64_t count) { return time_from_micros(static_cast<std::int64_t>(count) * 1'000'000); }

using Known = std::map<std::pair<TimePoint, NodeIndex>, TimePoint>;
using Listed = std::vector<std::tuple<TimePoint, NodeIndex, TimePoint>>;

Listed listed(const HoleIndex& index, Duration shortest) {
  Listed holes;
  index.each_while(shortest, [&holes](const Hole& hole) {
    holes.emplace_back(hole.start, hole.node, hole.end);
    return true;
  });
  return holes;
}

Listed listed(const Known& known, Duration shortest) {
  Listed holes;
  for (const auto& [key, end] : known) {
    if (Hole{key.first, end, key.second}.length() >= shortest) holes.emplace_back(key.first, key.second, end);
  }
  return holes;
}

TEST(HoleIndex, visit_ends_when_told) {
  HoleIndex index;
  index.assign({{second(2), second(3), 0}, {second(1), second(3), 1}});
  std::vector<NodeIndex> nodes;
  index.each_while(Duration{0}, [&nodes](const Hole& hole) {
    nodes.push_back(hole.node);
    return false;
  });
  EXPECT_EQ(nodes, (std::vector<NodeIndex>{1}));
}

TEST(HoleIndex, hole_without_an_end_is_longer_than_any) {
  HoleIndex index;
  index.insert({second(2), kNever, 0});
  index.insert({second(2), second(90), 1});
  EXPECT_EQ(listed(index, kForever), (Listed{{second(2), 0, kNever}}));
}

TEST(HoleIndex, random_changes_keep_order_and_length) {
  constexpr std::uint64_t kSeed = 7;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  SeededRng rng(kSeed);
  HoleIndex index;
  Known known;
  std::vector<Hole> first;
  for (NodeIndex node = 0; node < 300; ++node) {
    first.push_back({second(rng.below(50)), kNever, node});
    known[{first.back().start, node}] = kNever;
  }
  index.assign(first);
  for (int step = 0; step < 20'000; ++step) {
    const TimePoint start = second(rng.below(60));
    const auto node = static_cast<NodeIndex>(rng.below(40));
    const TimePoint end = rng.below(20) == 0 ? kNever : start + std::chrono::seconds(1 + rng.below(30));
    const auto found = known.find({start, node});
    if (found == known.end()) {
      index.insert({start, end, node});
      known[{start, node}] = end;
    } else if (rng.below(2) == 0) {
      index.change_end({start, found->second, node}, end);
      found->second = end;
    } else {
      index.erase({start, found->second, node});
      known.erase(found);
    }
    if (step % 500 != 0) continue;
    for (const Duration shortest : {Duration{0}, Duration{15'000'000}, kForever}) {
      ASSERT_EQ(listed(index, shortest), listed(known, shortest)) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace trainyard::sched
