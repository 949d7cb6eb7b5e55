#include "base/metrics.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace trainyard {
namespace {

TEST(MetricsRegistry, counter_and_gauge_are_written_with_help_type_and_labels) {
  MetricsRegistry registry;
  registry.counter("trainyard_jobs_total", "Jobs that ended.", "state=\"succeeded\"").add(3);
  registry.counter("trainyard_jobs_total", "Jobs that ended.", "state=\"failed\"").add();
  registry.gauge("trainyard_queue_length", "Jobs that wait.").set(2.5);
  EXPECT_EQ(registry.prometheus_text(),
            "# HELP trainyard_jobs_total Jobs that ended.\n"
            "# TYPE trainyard_jobs_total counter\n"
            "trainyard_jobs_total{state=\"succeeded\"} 3\n"
            "trainyard_jobs_total{state=\"failed\"} 1\n"
            "# HELP trainyard_queue_length Jobs that wait.\n"
            "# TYPE trainyard_queue_length gauge\n"
            "trainyard_queue_length 2.5\n");
}

TEST(MetricsRegistry, same_name_and_labels_give_the_same_series) {
  MetricsRegistry registry;
  Counter& first = registry.counter("a_total", "A.", "x=\"1\"");
  for (int i = 0; i < 100; ++i) registry.counter("a_total", "A.", "y=\"" + std::to_string(i) + "\"");
  EXPECT_EQ(&first, &registry.counter("a_total", "A.", "x=\"1\""));
  EXPECT_NE(&first, &registry.counter("a_total", "A."));
}

TEST(MetricsRegistry, histogram_buckets_are_cumulative_and_inclusive) {
  MetricsRegistry registry;
  Histogram& histogram = registry.histogram("wait_seconds", "Waiting.", {0.1, 1, 10}, "queue=\"q\"");
  for (const double value : {0.05, 0.1, 0.5, 5.0, 50.0}) histogram.observe(value);
  EXPECT_EQ(registry.prometheus_text(),
            "# HELP wait_seconds Waiting.\n"
            "# TYPE wait_seconds histogram\n"
            "wait_seconds_bucket{queue=\"q\",le=\"0.1\"} 2\n"
            "wait_seconds_bucket{queue=\"q\",le=\"1\"} 3\n"
            "wait_seconds_bucket{queue=\"q\",le=\"10\"} 4\n"
            "wait_seconds_bucket{queue=\"q\",le=\"+Inf\"} 5\n"
            "wait_seconds_sum{queue=\"q\"} 55.65\n"
            "wait_seconds_count{queue=\"q\"} 5\n");
}

TEST(MetricsRegistry, histogram_without_labels_has_plain_sum_and_count) {
  MetricsRegistry registry;
  registry.histogram("h", "H.", {1}).observe(1);
  const std::string text = registry.prometheus_text();
  EXPECT_NE(text.find("h_bucket{le=\"1\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("h_sum 1\nh_count 1\n"), std::string::npos) << text;
}

TEST(MetricsRegistry, series_can_be_made_and_counted_by_several_threads) {
  MetricsRegistry registry;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&registry, t] {
      for (int i = 0; i < 1000; ++i) {
        registry.counter("shared_total", "Shared.").add();
        registry.counter("own_total", "Own.", "t=\"" + std::to_string(t) + "\"").add();
        if (i % 100 == 0) (void)registry.prometheus_text();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(registry.counter("shared_total", "Shared.").value(), 4000u);
  EXPECT_EQ(registry.counter("own_total", "Own.", "t=\"2\"").value(), 1000u);
}

TEST(HistogramDeathTest, bounds_that_do_not_ascend_abort) { EXPECT_DEATH(Histogram({2, 1}), "ascend"); }

TEST(MetricsRegistryDeathTest, one_name_with_two_types_aborts) {
  MetricsRegistry registry;
  registry.counter("a_total", "A.");
  EXPECT_DEATH(registry.gauge("a_total", "A."), "two types");
}

}  // namespace
}  // namespace trainyard
