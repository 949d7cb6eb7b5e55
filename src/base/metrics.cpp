#include "base/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/check.h"

namespace trainyard {

struct MetricsRegistry::Series {
  std::string labels;
  Counter counter;
  Gauge gauge;
  std::unique_ptr<Histogram> histogram;
};

struct MetricsRegistry::Family {
  std::string name;
  std::string help;
  std::string type;
  std::deque<Series> series;
};

MetricsRegistry::MetricsRegistry() = default;
MetricsRegistry::~MetricsRegistry() = default;

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {
  CHECK(std::is_sorted(bounds_.begin(), bounds_.end()), "histogram bounds must ascend");
}

void Histogram::observe(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

Histogram::Snapshot Histogram::snapshot() const {
  Snapshot snapshot{bounds_, {}, sum_.load(std::memory_order_relaxed)};
  for (const auto& count : counts_) snapshot.counts.push_back(count.load(std::memory_order_relaxed));
  return snapshot;
}

MetricsRegistry::Series& MetricsRegistry::series(std::string_view name, std::string_view help, std::string_view type,
                                                 std::string_view labels) {
  auto family = std::find_if(families_.begin(), families_.end(), [name](const Family& f) { return f.name == name; });
  if (family == families_.end()) {
    families_.push_back({std::string(name), std::string(help), std::string(type), {}});
    family = std::prev(families_.end());
  }
  CHECK(family->type == type, "one metric name, two types");
  auto found = std::find_if(family->series.begin(), family->series.end(), [labels](const Series& s) { return s.labels == labels; });
  if (found != family->series.end()) return *found;
  family->series.emplace_back().labels = labels;
  return family->series.back();
}

Counter& MetricsRegistry::counter(std::string_view name, std::string_view help, std::string_view labels) {
  const std::lock_guard lock(mutex_);
  return series(name, help, "counter", labels).counter;
}

Gauge& MetricsRegistry::gauge(std::string_view name, std::string_view help, std::string_view labels) {
  const std::lock_guard lock(mutex_);
  return series(name, help, "gauge", labels).gauge;
}

Histogram& MetricsRegistry::histogram(std::string_view name, std::string_view help, std::vector<double> bounds, std::string_view labels) {
  const std::lock_guard lock(mutex_);
  Series& found = series(name, help, "histogram", labels);
  if (!found.histogram) found.histogram = std::make_unique<Histogram>(std::move(bounds));
  return *found.histogram;
}

namespace {

std::string braced(std::string_view labels) { return labels.empty() ? std::string() : fmt::format("{{{}}}", labels); }

std::string histogram_text(std::string_view name, std::string_view labels, const Histogram::Snapshot& snapshot) {
  std::string text;
  const std::string separator = labels.empty() ? "" : ",";
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < snapshot.counts.size(); ++i) {
    total += snapshot.counts[i];
    const std::string bound = i < snapshot.bounds.size() ? fmt::format("{}", snapshot.bounds[i]) : "+Inf";
    text += fmt::format("{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, separator, bound, total);
  }
  text += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, braced(labels), snapshot.sum, name, braced(labels), total);
  return text;
}

}  // namespace

std::string MetricsRegistry::prometheus_text() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const Family& family : families_) {
    text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", family.name, family.help, family.name, family.type);
    for (const Series& series : family.series) {
      if (family.type == "counter") {
        text += fmt::format("{}{} {}\n", family.name, braced(series.labels), series.counter.value());
      } else if (family.type == "gauge") {
        text += fmt::format("{}{} {}\n", family.name, braced(series.labels), series.gauge.value());
      } else {
        text += histogram_text(family.name, series.labels, series.histogram->snapshot());
      }
    }
  }
  return text;
}

}  // namespace trainyard
