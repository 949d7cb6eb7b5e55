#include "sched/quota.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace trainyard::sched {
namespace {

/// A quota of so many cores, nothing said about other resources.
Amounts cores(std::int64_t count) {
  Amounts amounts = Amounts::unlimited();
  amounts[kCpu] = count * 1000;
  return amounts;
}

/// A use or a request of so many cores.
Amounts of_cores(std::int64_t count) {
  Amounts amounts;
  amounts[kCpu] = count * 1000;
  return amounts;
}

Amounts of_gpus(std::int64_t count) {
  Amounts amounts;
  amounts[kGpu] = count * 1000;
  return amounts;
}

/// A queue tree, one line per queue.
struct Tree {
  QueueSnapshot queue;

  QueueIndex add(QueueSettings settings) { return queue.add_queue(std::move(settings)).value(); }
  void use(QueueIndex leaf, const Amounts& amounts) {
    JobSnapshot job;
    job.queue = leaf;
    queue.charge(job, amounts, 1);
  }
  QuotaBook book() const { return QuotaBook(queue); }
};

std::int64_t cores_available(const QuotaBook& book, QueueIndex queue) { return book.available(queue)[kCpu] / 1000; }

TEST(QuotaBook, tree_without_quotas_limits_nothing_and_owns_nothing) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a"});
  tree.use(a, of_cores(1'000'000));
  const QuotaBook book = tree.book();
  EXPECT_EQ(book.available(a), Amounts::unlimited());
  EXPECT_EQ(book.ceiling(a), Amounts::unlimited());
  EXPECT_FALSE(book.refusal(a, of_cores(1'000'000)).has_value());
  EXPECT_TRUE(book.over_nominal(a));
  EXPECT_FALSE(book.within_nominal(a, of_cores(1)));
}

TEST(QuotaBook, queue_borrows_what_its_cohort_does_not_use) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(4)});
  const QueueIndex b = tree.add({.name = "b", .nominal = cores(6)});
  tree.use(b, of_cores(2));
  QuotaBook book = tree.book();
  EXPECT_EQ(cores_available(book, a), 8);
  EXPECT_FALSE(book.refusal(a, of_cores(8)).has_value());
  book.charge(a, of_cores(8), 1);
  EXPECT_EQ(cores_available(book, a), 0);
  EXPECT_EQ(cores_available(book, b), 0) << "what was lent has to be taken back, not used twice";
  EXPECT_TRUE(book.over_nominal(a));
  EXPECT_FALSE(book.over_nominal(b));
  EXPECT_EQ(book.running_jobs(a), 1);
  EXPECT_EQ(book.running_jobs(0), 2);
}

TEST(QuotaBook, borrow_limit_keeps_the_queue_below_what_there_is) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(4), .borrow_limit = cores(1)});
  tree.add({.name = "b", .nominal = cores(6)});
  const QuotaBook book = tree.book();
  EXPECT_EQ(cores_available(book, a), 5);
  EXPECT_EQ(book.ceiling(a)[kCpu], 5000);
}

TEST(QuotaBook, lend_limit_keeps_the_rest_for_its_owner) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(4)});
  const QueueIndex b = tree.add({.name = "b", .nominal = cores(6), .lend_limit = cores(2)});
  QuotaBook book = tree.book();
  EXPECT_EQ(cores_available(book, a), 6);
  book.charge(a, of_cores(6), 1);
  EXPECT_EQ(cores_available(book, b), 4) << "what it never lends is there at once";
  book.charge(b, of_cores(4), 1);
  EXPECT_EQ(cores_available(book, b), 0);
  EXPECT_EQ(cores_available(book, a), 0);
}

TEST(QuotaBook, use_of_what_is_never_lent_takes_nothing_from_the_cohort) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(4)});
  const QueueIndex b = tree.add({.name = "b", .nominal = cores(6), .lend_limit = cores(2)});
  QuotaBook book = tree.book();
  book.charge(b, of_cores(4), 1);
  EXPECT_EQ(cores_available(book, a), 6);
  book.charge(b, of_cores(1), 1);
  EXPECT_EQ(cores_available(book, a), 5);
  book.charge(b, of_cores(-3), -1);
  EXPECT_EQ(cores_available(book, a), 6);
}

/// root > left {a 2, b 2} + 1 of its own, right {c 4}, which lends 1.
struct TwoCohorts : Tree {
  QueueIndex left = add({.name = "left", .nominal = cores(1)});
  QueueIndex right = add({.name = "right", .lend_limit = cores(1)});
  QueueIndex a = add({.name = "a", .parent = "left", .nominal = cores(2)});
  QueueIndex b = add({.name = "b", .parent = "left", .nominal = cores(2)});
  QueueIndex c = add({.name = "c", .parent = "right", .nominal = cores(4)});
};

TEST(QuotaBook, cohort_adds_its_own_quota_and_lends_to_others_by_its_own_limit) {
  TwoCohorts tree;
  QuotaBook book = tree.book();
  EXPECT_EQ(cores_available(book, tree.a), 2 + 2 + 1 + 1);
  EXPECT_EQ(cores_available(book, tree.c), 4 + 5);
  book.charge(tree.a, of_cores(6), 1);
  EXPECT_EQ(cores_available(book, tree.b), 0);
  EXPECT_EQ(cores_available(book, tree.c), 3);
  EXPECT_TRUE(book.over_nominal(tree.left));
  EXPECT_FALSE(book.over_nominal(tree.right));
}

TEST(QuotaBook, borrow_limit_of_a_cohort_binds_the_queues_below_it) {
  TwoCohorts tree;
  QueueSettings settings = tree.queue.queue(tree.left).settings;
  settings.borrow_limit = cores(0);
  ASSERT_TRUE(tree.queue.configure(tree.left, settings).ok());
  const QuotaBook book = tree.book();
  EXPECT_EQ(cores_available(book, tree.a), 5);
  const auto refusal = book.refusal(tree.a, of_cores(6));
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->reason, Reason::kExceedsMaxQuota) << "six cores are more than the cohort could ever have";
}

TEST(QuotaBook, quota_that_was_cut_below_its_use_leaves_less_than_nothing) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(4)});
  tree.use(a, of_cores(4));
  QueueSettings settings = tree.queue.queue(a).settings;
  settings.nominal = cores(1);
  ASSERT_TRUE(tree.queue.configure(a, settings).ok());
  const QuotaBook book = tree.book();
  EXPECT_EQ(cores_available(book, a), -3);
  EXPECT_TRUE(book.over_nominal(a));
  const auto refusal = book.refusal(a, of_cores(1));
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->available, -3000);
}

TEST(QuotaBook, use_beyond_the_whole_tree_is_missing_in_every_queue) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(0)});
  const QueueIndex b = tree.add({.name = "b", .nominal = cores(4), .lend_limit = cores(1)});
  tree.use(a, of_cores(2));
  EXPECT_EQ(cores_available(tree.book(), b), 2) << "three are never lent, but one of four is gone";
  tree.use(a, of_cores(3));
  EXPECT_EQ(cores_available(tree.book(), b), -1);
}

TEST(QuotaBook, queue_without_a_quota_is_not_limited_beside_queues_that_have_one) {
  Tree tree;
  const QueueIndex open = tree.add({.name = "open"});
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(4)});
  tree.use(open, of_cores(100));
  const QuotaBook book = tree.book();
  EXPECT_EQ(book.available(open)[kCpu], kUnlimited);
  EXPECT_EQ(cores_available(book, a), 4);
  EXPECT_TRUE(book.over_nominal(open));
}

TEST(QuotaBook, queue_without_a_quota_borrows_from_the_cohort_that_has_one) {
  Tree tree;
  tree.add({.name = "cohort", .nominal = cores(10)});
  const QueueIndex open = tree.add({.name = "open", .parent = "cohort"});
  const QueueIndex a = tree.add({.name = "a", .parent = "cohort", .nominal = cores(2)});
  QuotaBook book = tree.book();
  EXPECT_EQ(cores_available(book, open), 12);
  book.charge(open, of_cores(11), 1);
  EXPECT_EQ(cores_available(book, a), 1);
}

TEST(QuotaBook, resource_without_a_quota_does_not_gate) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(1)});
  const QuotaBook book = tree.book();
  EXPECT_FALSE(book.refusal(a, of_gpus(64)).has_value());
  EXPECT_EQ(book.available(a)[kGpu], kUnlimited);
}

TEST(QuotaBook, zero_request_passes_where_the_resource_is_overcommitted) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(1)});
  tree.use(a, of_cores(2));
  EXPECT_FALSE(tree.book().refusal(a, of_gpus(1)).has_value());
}

TEST(QuotaBook, refusal_names_the_ceiling_the_borrow_limit_or_the_quota_in_use) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(4), .borrow_limit = cores(2)});
  const QueueIndex b = tree.add({.name = "b", .nominal = cores(4)});
  QuotaBook book = tree.book();
  EXPECT_EQ(book.refusal(a, of_cores(7))->reason, Reason::kExceedsMaxQuota);
  book.charge(a, of_cores(4), 1);
  EXPECT_EQ(book.refusal(a, of_cores(3))->reason, Reason::kBorrowingLimitReached);
  EXPECT_EQ(book.refusal(a, of_cores(3))->needed, 3000);
  EXPECT_EQ(book.refusal(a, of_cores(3))->available, 2000);
  book.charge(b, of_cores(4), 1);
  EXPECT_EQ(book.refusal(a, of_cores(1))->reason, Reason::kWaitingForQuota);
}

TEST(QuotaBook, queue_owns_a_request_only_up_to_its_quota) {
  Tree tree;
  const QueueIndex a = tree.add({.name = "a", .nominal = cores(4)});
  tree.use(a, of_cores(1));
  const QuotaBook book = tree.book();
  EXPECT_TRUE(book.within_nominal(a, of_cores(3)));
  EXPECT_FALSE(book.within_nominal(a, of_cores(4)));
  EXPECT_FALSE(book.within_nominal(a, of_gpus(1))) << "there is no quota of GPUs that could be its own";
  EXPECT_FALSE(book.over_nominal(a, of_cores(3)));
  EXPECT_TRUE(book.over_nominal(a, of_cores(4)));
}

/// What is used of the pools of all queues, the slow way, top down from nothing but settings and uses.
std::int64_t naive_beyond(const QueueSnapshot& queue, const std::vector<std::int64_t>& quota, const std::vector<std::int64_t>& use,
                          QueueIndex index, std::int64_t& subtree) {
  subtree = quota[index];
  std::int64_t used = use[index];
  for (const QueueIndex child : queue.queue(index).children) {
    std::int64_t below = 0;
    const std::int64_t passed = naive_beyond(queue, quota, use, child, below);
    used += passed;
    subtree += std::min(below, queue.queue(child).settings.lend_limit[kCpu]);
  }
  const std::int64_t guaranteed = subtree - std::min(subtree, queue.queue(index).settings.lend_limit[kCpu]);
  return index == 0 ? used : std::max<std::int64_t>(0, used - guaranteed);
}

TEST(QuotaBook, random_admissions_never_use_more_than_the_tree_has) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRng rng(seed);
    Tree tree;
    std::vector<std::int64_t> quota(1, 0);
    std::vector<QueueIndex> leaves;
    for (int i = 0; i < 6; ++i) {
      QueueSettings settings{.name = "q" + std::to_string(i)};
      if (i >= 2) settings.parent = "q" + std::to_string(rng.below(2));
      settings.nominal = cores(static_cast<std::int64_t>(rng.below(5)));
      if (rng.below(2) == 0) settings.borrow_limit = cores(static_cast<std::int64_t>(rng.below(4)));
      if (rng.below(2) == 0) settings.lend_limit = cores(static_cast<std::int64_t>(rng.below(4)));
      quota.push_back((*settings.nominal)[kCpu]);
      tree.add(settings);
    }
    for (QueueIndex index = 1; index < quota.size(); ++index) {
      if (tree.queue.queue(index).leaf()) leaves.push_back(index);
    }
    QuotaBook book = tree.book();
    std::vector<std::int64_t> use(quota.size(), 0);
    for (int i = 0; i < 60; ++i) {
      const QueueIndex leaf = leaves[rng.below(leaves.size())];
      const auto amount = static_cast<std::int64_t>(rng.below(3)) + 1;
      if (rng.below(3) == 0) {
        const std::int64_t back = std::min(use[leaf], amount * 1000);
        book.charge(leaf, of_cores(-back / 1000), 0);
        use[leaf] -= back;
      } else if (!book.refusal(leaf, of_cores(amount))) {
        book.charge(leaf, of_cores(amount), 0);
        use[leaf] += amount * 1000;
      }
      std::int64_t subtree = 0;
      const std::int64_t used = naive_beyond(tree.queue, quota, use, 0, subtree);
      ASSERT_LE(used, subtree);
      for (const QueueIndex each : leaves) {
        const QueueSettings& settings = tree.queue.queue(each).settings;
        ASSERT_LE(use[each], quota[each] + settings.borrow_limit[kCpu]);
        const std::int64_t kept = quota[each] - std::min(quota[each], settings.lend_limit[kCpu]);
        ASSERT_GE(book.available(each)[kCpu], kept - use[each]) << "what it never lends is always there";
      }
    }
  }
}

}  // namespace
}  // namespace trainyard::sched
