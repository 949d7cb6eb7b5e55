#include "jobs/job_table.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/rng.h"

namespace trainyard::jobs {
namespace {

TEST(JobTable, behaves_as_a_map_over_random_changes_and_keeps_its_references) {
  constexpr std::uint64_t kSeed = 20260302;
  SeededRng rng(kSeed);
  JobTable<std::string> table;
  std::map<JobId, std::pair<std::string, const std::string*>> expected;
  for (std::uint64_t id = 1; id <= 5000; ++id) {
    std::string& value = table.add(JobId(id));
    EXPECT_TRUE(value.empty()) << "a place that was used before is fresh";
    value = std::to_string(id);
    expected.emplace(JobId(id), std::pair(value, &value));
    if (rng.below(3) > 0) {
      const auto chosen = std::next(expected.begin(), static_cast<std::ptrdiff_t>(rng.below(expected.size())));
      table.erase(chosen->first, [&](const std::string& last) {
        EXPECT_EQ(last, chosen->second.first);
        EXPECT_EQ(table.find(chosen->first), nullptr);
      });
      EXPECT_EQ(table.find(chosen->first), nullptr);
      expected.erase(chosen);
    }
  }
  EXPECT_EQ(table.size(), expected.size());
  std::size_t visited = 0;
  table.each([&](JobId id, const std::string& value) {
    ++visited;
    EXPECT_EQ(value, expected.at(id).first) << "seed " << kSeed;
    EXPECT_EQ(&value, expected.at(id).second) << "it was moved";
  });
  EXPECT_EQ(visited, expected.size());
}

TEST(JobTableDeathTest, unknown_job_and_a_second_one_of_one_id_abort) {
  JobTable<int> table;
  table.add(JobId(1));
  EXPECT_DEATH(table.add(JobId(1)), "added once");
  EXPECT_DEATH(table.at(JobId(2)), "is there");
  EXPECT_DEATH(table.erase(JobId(2), [](int) {}), "is there");
}

}  // namespace
}  // namespace trainyard::jobs
