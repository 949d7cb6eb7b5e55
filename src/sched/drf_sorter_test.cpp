#include "sched/drf_sorter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/document.h"
#include "base/file.h"
#include "base/rng.h"

namespace trainyard::sched {
namespace {

Document fairness_vectors() {
  const Result<std::string> text = read_file("tests/data/scheduling/fairness/fair_sharing_vectors.json");
  CHECK(text.ok(), "the test runs in the repository's root");
  return parse_json(*text).value();
}

/// [cpus, mem] or {"cpus": .., "mem": ..}.
Amounts cpus_and_memory(const Document& document) {
  Amounts amounts;
  const bool list = document.is_array();
  amounts[kCpu] = list ? document.items()[0].as_int().value() : document.int_at("cpus").value();
  amounts[kMemory] = list ? document.items()[1].as_int().value() : document.int_at("mem").value();
  return amounts;
}

/// Plays the steps of one vector.
class SorterReplay {
 public:
  explicit SorterReplay(const Document& total) : sorter_(cpus_and_memory(total)) {}

  void play(const Document& step) {
    for (const auto& [name, amounts] : step["alloc"].members()) sorter_.allocate(client(name), cpus_and_memory(amounts));
    for (const auto& [name, amounts] : step["unalloc"].members()) sorter_.unallocate(client(name), cpus_and_memory(amounts));
    for (const auto& [name, weight] : step["weight"].members()) {
      sorter_.set_weight(client(name), std::llround(weight.as_double().value() * 1000));
    }
    for (const Document& name : step["remove"].items()) sorter_.remove(client(name.text()));
    if (!step["total"].is_null()) sorter_.set_total(cpus_and_memory(step["total"]));
  }

  std::vector<std::string> order() const {
    std::vector<std::string> names;
    for (const DrfSorter::Client client : sorter_.order()) names.emplace_back(sorter_.name(client));
    return names;
  }
  std::string first() const { return std::string(sorter_.name(sorter_.first().value())); }

 private:
  DrfSorter::Client client(const std::string& name) {
    const auto [found, added] = clients_.emplace(name, 0);
    if (added) found->second = sorter_.add({.name = found->first});
    return found->second;
  }

  DrfSorter sorter_;
  std::map<std::string, DrfSorter::Client> clients_;
};

void replay_steps(const std::string& vector) {
  const Document document = fairness_vectors();
  const Document& steps = document[vector]["steps"];
  ASSERT_GE(steps.items().size(), 5U);
  SorterReplay replay(document[vector]["total"]);
  for (const Document& step : steps.items()) {
    replay.play(step);
    std::vector<std::string> expected;
    for (const Document& name : step["order"].items()) expected.push_back(name.text());
    EXPECT_EQ(replay.order(), expected) << vector << " " << step.where();
    EXPECT_EQ(replay.first(), expected.front());
  }
}

TEST(DrfSorter, mesos_vectors_give_the_published_orders) { replay_steps("mesos_drf_sorter"); }
TEST(DrfSorter, mesos_weighted_vectors_give_the_published_orders) { replay_steps("mesos_wdrf_sorter"); }

Amounts whole_cpus(std::int64_t count) {
  Amounts amounts;
  amounts[kCpu] = count;
  return amounts;
}

TEST(DrfSorter, equal_shares_go_by_allocations_then_by_name) {
  DrfSorter sorter(whole_cpus(10));
  const DrfSorter::Client b = sorter.add({.name = "b"});
  const DrfSorter::Client a = sorter.add({.name = "a"});
  EXPECT_EQ(sorter.first(), a);
  sorter.allocate(a, whole_cpus(1));
  sorter.allocate(a, whole_cpus(1));
  sorter.allocate(b, whole_cpus(2));
  EXPECT_EQ(sorter.order(), (std::vector{b, a}));
  sorter.unallocate(b, whole_cpus(2));
  sorter.unallocate(a, whole_cpus(2));
  EXPECT_EQ(sorter.first(), b);
}

TEST(DrfSorter, inactive_client_keeps_its_share_and_a_removed_one_loses_it) {
  DrfSorter sorter(whole_cpus(10));
  const DrfSorter::Client a = sorter.add({.name = "a", .used = whole_cpus(3)});
  const DrfSorter::Client b = sorter.add({.name = "b", .used = whole_cpus(5)});
  sorter.deactivate(a);
  EXPECT_EQ(sorter.order(), std::vector{b});
  sorter.activate(a);
  EXPECT_EQ(sorter.order(), (std::vector{a, b}));
  EXPECT_EQ(sorter.share(a).used, 3);
  sorter.remove(b);
  EXPECT_EQ(sorter.order(), std::vector{a});
  EXPECT_EQ(sorter.share(b).used, 0);
  sorter.remove(a);
  EXPECT_EQ(sorter.first(), std::nullopt);
}

TEST(DrfSorter, random_changes_keep_the_first_equal_to_a_full_sort) {
  const std::uint64_t seed = 7'411;
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed);
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back("client" + std::to_string(rng.below(1000)));
  DrfSorter sorter(whole_cpus(1000));
  for (const std::string& name : names) sorter.add({.name = name});
  for (int step = 0; step < 5'000; ++step) {
    const auto client = static_cast<DrfSorter::Client>(rng.below(names.size()));
    const auto some = static_cast<std::int64_t>(rng.below(4));
    switch (rng.below(7)) {
      case 0:
        sorter.unallocate(client, whole_cpus(std::min(some, sorter.share(client).used)));
        break;
      case 1:
        sorter.set_weight(client, 500 * some);
        break;
      case 2:
        sorter.deactivate(client);
        break;
      case 3:
        sorter.activate(client);
        break;
      case 4:
        sorter.set_total(whole_cpus(500 + 100 * some));
        break;
      default:
        sorter.allocate(client, whole_cpus(some));
        break;
    }
    const std::vector<DrfSorter::Client> order = sorter.order();
    for (std::size_t i = 1; i < order.size(); ++i) EXPECT_LE(sorter.share(order[i - 1]), sorter.share(order[i]));
    ASSERT_EQ(sorter.first(), order.empty() ? std::nullopt : std::optional(order.front())) << "step " << step;
  }
}

}  // namespace
}  // namespace trainyard::sched
