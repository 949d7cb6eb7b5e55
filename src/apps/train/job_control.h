#pragma once
#include <optional>
#include <string>

#include "runner/event_writer.h"
#include "runner/server.h"
#include "runner/stop_signal.h"
#include "train/training_loop.h"

namespace trainyard::apps {

/// The loop's wishes from signals, and the decisions at rungs from the server: a long poll of
/// GET /api/v1/trials/{job}/rungs/{step}?wait=SECONDS, answered {"decision": "continue" | "stop" | "pending"}.
class JobControl final : public train::TrainControl {
 public:
  /// `server` may be null for a job without rungs; it and `stop` outlive this object.
  JobControl(runner::StopSignal& stop, runner::ServerConnection* server, JobId job, const Clock& clock)
      : stop_(stop), server_(server), job_(job), clock_(clock) {}

  bool stop_requested() override { return stop_.stop_requested(); }
  bool take_checkpoint_request() override { return stop_.take_checkpoint_request(); }
  /// A server that is away is asked again a second later; one that refuses the question is reported on stderr.
  std::optional<train::RungDecision> await_rung(std::int64_t step, Duration wait) override;

 private:
  runner::StopSignal& stop_;
  runner::ServerConnection* server_;
  JobId job_;
  const Clock& clock_;
  std::string last_complaint_;
};

/// What the loop tells, as events: metrics and checkpoints from rank 0 only, progress from every rank. Warnings go to stderr.
class EventListener final : public train::TrainListener {
 public:
  explicit EventListener(runner::EventWriter& events) : events_(events) {}

  void on_metric(std::string_view key, double value, std::int64_t step) override { events_.metric(key, value, step); }
  void on_progress(std::int64_t step, std::int64_t steps_total, std::string_view message) override {
    events_.progress(step, steps_total, message);
  }
  void on_checkpoint(std::int64_t step, const std::string& manifest) override { events_.checkpoint(step, manifest); }
  void on_warning(const Error& error) override;

 private:
  runner::EventWriter& events_;
};

}  // namespace trainyard::apps
