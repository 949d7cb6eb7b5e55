#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "train/training_loop.h"

namespace trainyard::train::testing {

/// Wishes by script: a stop or a checkpoint when the n-th step begins, and decisions by rung.
class ScriptedControl final : public TrainControl {
 public:
  std::int64_t stop_at_call = 0;  ///< From this call of stop_requested on; 0: never.
  std::set<std::int64_t> checkpoint_at_calls;
  std::map<std::int64_t, RungDecision> decisions;
  std::map<std::int64_t, int> answers_until;  ///< How often a rung is asked in vain first.

  bool stop_requested() override { return ++stop_calls_ >= stop_at_call && stop_at_call > 0; }
  bool take_checkpoint_request() override { return checkpoint_at_calls.contains(++checkpoint_calls_); }
  std::optional<RungDecision> await_rung(std::int64_t step, Duration) override {
    ++rungs_asked;
    if (answers_until[step]-- > 0) return std::nullopt;
    const auto found = decisions.find(step);
    return found == decisions.end() ? std::nullopt : std::optional(found->second);
  }

  int rungs_asked = 0;

 private:
  std::int64_t stop_calls_ = 0;
  std::int64_t checkpoint_calls_ = 0;
};

/// Keeps what it hears.
class RecordingListener final : public TrainListener {
 public:
  struct Metric {
    std::string key;
    double value = 0;
    std::int64_t step = 0;
  };

  void on_metric(std::string_view key, double value, std::int64_t step) override { metrics.push_back({std::string(key), value, step}); }
  void on_progress(std::int64_t step, std::int64_t, std::string_view) override { progress_steps.push_back(step); }
  void on_checkpoint(std::int64_t step, const std::string&) override { checkpoint_steps.push_back(step); }
  void on_warning(const Error& error) override { warnings.push_back(error.id); }

  /// The values of one metric by step.
  std::map<std::int64_t, double> series(std::string_view key) const {
    std::map<std::int64_t, double> values;
    for (const Metric& metric : metrics) {
      if (metric.key == key) values[metric.step] = metric.value;
    }
    return values;
  }

  std::vector<Metric> metrics;
  std::vector<std::int64_t> progress_steps;
  std::vector<std::int64_t> checkpoint_steps;
  std::vector<std::string> warnings;
};

}  // namespace trainyard::train::testing
