#pragma once
#include <functional>
#include <utility>
#include <vector>

#include "exec/execution_backend.h"

namespace trainyard::exec::testing {

/// Passes calls on until told to fail, and repeats what is reported when told to: both must be harmless to whoever uses a backend.
/// Single-threaded.
class FaultyExecutionBackend final : public ExecutionBackend, private AttemptObserver {
 public:
  explicit FaultyExecutionBackend(ExecutionBackend& inner) : inner_(inner) { inner_.set_observer(*this); }

  /// The next launch never reaches its nodes; `report_lost_launches` says so.
  void lose_next_launch() { lose_launch_ = true; }
  void report_lost_launches() {
    const std::vector<RankKey> lost = std::exchange(lost_, {});
    if (!lost.empty() && observer_ != nullptr) observer_->on_ranks_lost(lost, "injected: the launch was lost");
  }
  /// The next stop is swallowed: a level-triggered caller asks again.
  void swallow_next_stop() { swallow_stop_ = true; }
  /// Everything is reported this many times.
  void repeat_reports(int times) { times_ = times; }

  void set_observer(AttemptObserver& observer) override { observer_ = &observer; }
  std::vector<NodeView> nodes() const override { return inner_.nodes(); }
  void launch(const GangLaunch& launch) override {
    if (!std::exchange(lose_launch_, false)) return inner_.launch(launch);
    for (const RankLaunch& rank : launch.ranks) lost_.push_back(rank.rank);
  }
  void stop(const AttemptKey& attempt, StopReason reason, Duration grace_max) override {
    if (!std::exchange(swallow_stop_, false)) inner_.stop(attempt, reason, grace_max);
  }
  void request_checkpoint(const AttemptKey& attempt) override { inner_.request_checkpoint(attempt); }
  void forget(const AttemptKey& attempt) override { inner_.forget(attempt); }
  void adopt(const GangLaunch& launch) override { inner_.adopt(launch); }

 private:
  void repeat(const std::function<void()>& report) const {
    for (int time = 0; observer_ != nullptr && time < times_; ++time) report();
  }
  void on_rank_limited(const RankKey& rank, const std::string& limited_by) override {
    repeat([&] { observer_->on_rank_limited(rank, limited_by); });
  }
  void on_rank_running(const RankKey& rank, TimePoint started_at) override {
    repeat([&] { observer_->on_rank_running(rank, started_at); });
  }
  void on_rank_exited(const RankKey& rank, const RankExit& exit) override {
    repeat([&] { observer_->on_rank_exited(rank, exit); });
  }
  void on_ranks_lost(const std::vector<RankKey>& ranks, const std::string& why) override {
    repeat([&] { observer_->on_ranks_lost(ranks, why); });
  }
  void on_nodes_changed() override {
    repeat([&] { observer_->on_nodes_changed(); });
  }

  ExecutionBackend& inner_;
  AttemptObserver* observer_ = nullptr;
  std::vector<RankKey> lost_;
  bool lose_launch_ = false;
  bool swallow_stop_ = false;
  int times_ = 1;
};

}  // namespace trainyard::exec::testing
