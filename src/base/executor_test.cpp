#include "base/executor.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/manual_executor.h"

namespace trainyard {
namespace {

using namespace std::chrono_literals;

/// Waits until all that was posted before has run.
void drain(ThreadExecutor& executor) {
  std::promise<void> reached;
  executor.post([&reached] { reached.set_value(); });
  ASSERT_EQ(reached.get_future().wait_for(10s), std::future_status::ready);
}

TEST(ThreadExecutor, tasks_run_in_order_on_one_other_thread) {
  ThreadExecutor executor("test");
  std::vector<int> order;
  std::thread::id runner;
  for (int i = 0; i < 100; ++i) {
    executor.post([&order, &runner, i] {
      order.push_back(i);
      runner = std::this_thread::get_id();
    });
  }
  drain(executor);
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  EXPECT_NE(runner, std::this_thread::get_id());
}

TEST(ThreadExecutor, task_that_posts_runs_it_after_what_already_waits) {
  ThreadExecutor executor("test");
  std::vector<std::string> order;
  std::promise<void> done;
  executor.post([&] {
    order.push_back("first");
    executor.post([&] { order.push_back("second"); });
    executor.post([&] { done.set_value(); });
  });
  ASSERT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(order, (std::vector<std::string>{"first", "second"}));
}

TEST(ThreadExecutor, timers_run_in_order_of_their_due_times_and_not_early) {
  ThreadExecutor executor("test");
  const SystemClock clock;
  const MonotonicPoint now = clock.monotonic_now();
  std::vector<int> order;
  MonotonicPoint ran_at;
  std::promise<void> done;
  executor.post_at(now + 40ms, [&] {
    order.push_back(3);
    ran_at = clock.monotonic_now();
    done.set_value();
  });
  executor.post_at(now + 20ms, [&] { order.push_back(2); });
  executor.post_at(now - 1s, [&] { order.push_back(1); });
  ASSERT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_GE(ran_at, now + 40ms);
}

TEST(ThreadExecutor, distant_timer_does_not_hold_up_posted_tasks) {
  ThreadExecutor executor("test");
  executor.post_at(SystemClock().monotonic_now() + 1h, [] { FAIL() << "not due for an hour"; });
  drain(executor);
}

TEST(ThreadExecutor, stop_lets_the_running_task_finish) {
  ThreadExecutor executor("test");
  std::promise<void> entered, go_on;
  std::shared_future<void> may_end = go_on.get_future().share();
  bool finished = false;
  executor.post([&, may_end] {
    entered.set_value();
    may_end.wait();
    finished = true;
  });
  ASSERT_EQ(entered.get_future().wait_for(10s), std::future_status::ready);
  std::thread stopper([&executor] { executor.stop(); });
  go_on.set_value();
  stopper.join();
  EXPECT_TRUE(finished);
}

TEST(ThreadExecutor, tasks_that_wait_at_its_end_are_dropped_and_released) {
  auto token = std::make_shared<int>(1);  // shared: its count shows whether the dropped tasks were released
  bool ran = false;
  {
    ThreadExecutor executor("test");
    executor.post_at(SystemClock().monotonic_now() + 1h, [token, &ran] { ran = true; });
    executor.stop();
    executor.post([token, &ran] { ran = true; });
    EXPECT_EQ(token.use_count(), 3);
  }
  EXPECT_FALSE(ran);
  EXPECT_EQ(token.use_count(), 1);
}

TEST(ManualExecutor, time_moves_only_by_advance_and_stops_at_every_timer) {
  testing::FakeClock clock;
  testing::ManualExecutor executor(clock);
  const MonotonicPoint start = clock.monotonic_now();
  std::vector<Duration> at;
  executor.post_at(start + 2s, [&] { at.push_back(clock.monotonic_now() - start); });
  executor.post_at(start + 1s, [&] {
    at.push_back(clock.monotonic_now() - start);
    executor.post_at(start + 1500ms, [&] { at.push_back(clock.monotonic_now() - start); });
  });
  executor.run_ready();
  EXPECT_TRUE(at.empty());
  executor.advance(3s);
  EXPECT_EQ(at, (std::vector<Duration>{1s, 1500ms, 2s}));
  EXPECT_EQ(clock.monotonic_now() - start, 3s);
}

TEST(FakeClock, step_of_the_wall_clock_leaves_the_monotonic_clock_alone) {
  testing::FakeClock clock;
  const TimePoint wall = clock.now();
  const MonotonicPoint mono = clock.monotonic_now();
  clock.advance(5s);
  clock.step_wall_clock(-10s);
  EXPECT_EQ(clock.now() - wall, -5s);
  EXPECT_EQ(clock.monotonic_now() - mono, 5s);
}

}  // namespace
}  // namespace trainyard
