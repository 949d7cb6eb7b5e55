#include "sched/job_index.h"

#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"

namespace trainyard::sched {
namespace {

TEST(JobIndex, behaves_as_a_map_over_random_changes_of_dense_and_sparse_ids) {
  constexpr std::uint64_t kSeed = 20261121;
  SeededRng rng(kSeed);
  JobIndex index;
  std::map<JobId, std::uint32_t> expected;
  for (std::uint32_t step = 0; step < 20'000; ++step) {
    const bool dense = rng.below(4) > 0;
    const JobId id(dense ? 1 + rng.below(500) : 1 + rng.below(std::uint64_t{1} << 40));
    if (rng.below(2) == 0) {
      EXPECT_EQ(index.insert(id, step), expected.emplace(id, step).second) << "seed " << kSeed;
    } else {
      EXPECT_EQ(index.erase(id), expected.erase(id) == 1) << "seed " << kSeed;
    }
    const std::uint32_t* found = index.find(id);
    ASSERT_EQ(found != nullptr, expected.contains(id)) << "seed " << kSeed;
    if (found != nullptr) {
      EXPECT_EQ(*found, expected.at(id));
    }
  }
  ASSERT_EQ(index.size(), expected.size());
  std::map<JobId, std::uint32_t> visited;
  index.each([&](JobId id, std::uint32_t number) { EXPECT_TRUE(visited.emplace(id, number).second); });
  EXPECT_EQ(visited, expected) << "seed " << kSeed;
}

}  // namespace
}  // namespace trainyard::sched
