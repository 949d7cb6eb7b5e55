#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "exec/execution_backend.h"
#include "jobs/attempt_builder.h"

namespace trainyard::jobs::testing {

/// A backend that starts nothing: it writes down what it is told, and the test says what became of it through the observer.
class ScriptedBackend final : public exec::ExecutionBackend {
 public:
  std::vector<exec::NodeView> views;
  /// "launch 1.1", "stop 1.1 cancel", "adopt 1.1", "forget 1.1" in the order of the calls.
  std::vector<std::string> calls;
  std::map<AttemptKey, exec::GangLaunch> launches;
  std::map<AttemptKey, Duration> graces;  ///< Of attempts that were stopped: what their ranks have.
  exec::AttemptObserver* observer = nullptr;

  void add_node(const std::string& name, std::int64_t cores) { views.push_back({{name}, {cores * 1000, cores << 30, 0}, true}); }

  void set_observer(exec::AttemptObserver& to) override { observer = &to; }
  std::vector<exec::NodeView> nodes() const override { return views; }
  void launch(const exec::GangLaunch& launch) override {
    launches[launch.attempt] = launch;
    calls.push_back("launch " + text_of(launch.attempt));
  }
  void stop(const AttemptKey& attempt, exec::StopReason reason, Duration grace_max) override {
    static const std::map<exec::StopReason, std::string> kNames{{exec::StopReason::kCancel, "cancel"},
                                                                {exec::StopReason::kPreempt, "preempt"},
                                                                {exec::StopReason::kLimit, "limit"},
                                                                {exec::StopReason::kDrain, "drain"},
                                                                {exec::StopReason::kGangFailed, "gang_failed"}};
    calls.push_back("stop " + text_of(attempt) + " " + kNames.at(reason));
    graces[attempt] = std::min(grace_max, launches[attempt].ranks.empty() ? grace_max : launches[attempt].ranks[0].grace);
  }
  void request_checkpoint(const AttemptKey& attempt) override { calls.push_back("checkpoint " + text_of(attempt)); }
  void forget(const AttemptKey& attempt) override { calls.push_back("forget " + text_of(attempt)); }
  void adopt(const exec::GangLaunch& launch) override {
    launches[launch.attempt] = launch;
    calls.push_back("adopt " + text_of(launch.attempt));
  }

  static std::string text_of(const AttemptKey& attempt) { return attempt.job.text() + "." + attempt.attempt.text(); }
};

/// Fills in nothing but where the ranks go.
class PlainBuilder final : public AttemptBuilder {
 public:
  exec::GangLaunch build(const Job& job) override {
    exec::GangLaunch launch;
    launch.attempt = {job.id, job.attempt.number};
    for (std::uint32_t rank = 0; rank < job.attempt.ranks.size(); ++rank) {
      exec::RankLaunch one;
      one.rank = {launch.attempt, rank};
      one.argv = job.spec.command;
      one.resources = job.spec.resources.resources();
      one.grace = job.spec.limits.grace;
      launch.nodes.push_back(job.attempt.ranks[rank].node);
      launch.ranks.push_back(std::move(one));
    }
    return launch;
  }
};

}  // namespace trainyard::jobs::testing
