#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apps/warden/event_loop.h"
#include "apps/warden/rank_output.h"
#include "apps/warden/spawn.h"
#include "exec/process_groups.h"
#include "exec/warden_protocol.h"

namespace trainyard::warden {

struct RankSettings {
  RankOutputSettings output;
  Duration linger{2'000'000};         ///< How long grandchildren may hold the pipes open after the rank itself has ended.
  Duration pipe_patience{1'000'000};  ///< How long pipes may stay open after SIGKILL to the group.
  Duration record_retry{1'000'000};   ///< Between attempts to write the exit record to a full disk.
};

/// One rank from its launch to its exit record.
///
///   start --exec fails--------------------------------------> RECORDING --durable--> EXITED
///     |                                                          ^
///     +--> RUNNING --leader ends--> DRAINING --pipes closed------+
///                                     +--linger over: SIGKILL to the group, pipes closed by force--+
///
/// The leader stays a zombie until the group has been killed, so that neither its pid nor the group's number can be given to others.
class RankProcess {
 public:
  struct Deps {
    EventLoop& loop;
    const Clock& clock;
    exec::GroupRegistry& groups;
    const EnvironmentBase& environment;
    /// Kills processes that left the group; called once its leader and group have ended.
    std::function<void()> sweep_strays;
  };
  struct Callbacks {
    std::function<void()> on_changed;  ///< The phase, the stop flag or the checkpoint number changed.
    std::function<void()> on_grown;    ///< The output files have grown.
  };

  RankProcess(RankSettings settings, Deps deps, Callbacks callbacks)
      : settings_(settings), deps_(std::move(deps)), callbacks_(std::move(callbacks)) {}
  ~RankProcess();
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  /// Starts the program; a failure becomes an exit record with a launch error. Called once.
  void start(const exec::RankLaunch& launch);
  /// A rank of which only the end is known.
  void restore(const exec::ExitRecord& record);
  /// Ends a rank that was never started, or whose end nobody saw, with a record of its own.
  void record_end_unseen(const exec::ExitRecord& record);

  /// SIGTERM now, SIGKILL after `grace`; a repeated stop can only bring the SIGKILL forward.
  void stop(Duration grace);
  /// SIGUSR1 to the processes of the group that handle it; `number` is remembered once at least one does.
  void request_checkpoint(std::uint32_t number);
  /// Any signal to the group.
  void signal(int number);
  void set_shipped(const exec::ShippedMark& mark);

  exec::WardenRank view() const;
  bool exited() const { return record_.has_value() && recorded_; }
  pid_t pid() const { return pid_; }
  /// False once nothing that the rank started may live on.
  bool shelters_strays() const { return pid_ != 0 && !linger_over_; }
  Duration grace() const { return grace_; }

 private:
  Result<void> launch(const exec::RankLaunch& launch);
  Result<void> watch_leader();
  void on_leader_exit();
  void on_linger_over();
  void finish();
  void end_with(exec::RankExit exit);
  void write_record();
  void kill_group(int signal) const;

  RankSettings settings_;
  Deps deps_;
  Callbacks callbacks_;
  exec::RankObservation observation_;
  exec::SpoolPaths paths_;
  Duration grace_{0};
  std::unique_ptr<RankOutput> output_;
  pid_t pid_ = 0;
  UniqueFd pidfd_;
  WatchId leader_watch_;
  TimerId stop_timer_;
  TimerId linger_timer_;
  TimerId record_timer_;
  MonotonicPoint kill_at_;
  bool stopping_ = false;
  bool killed_by_us_ = false;
  bool leader_ended_ = false;
  bool linger_over_ = false;
  std::uint32_t checkpoint_number_ = 0;
  std::uint64_t oom_kills_before_ = 0;
  exec::RankExit exit_;  ///< How the leader ended, while its output drains.
  std::optional<exec::ExitRecord> record_;
  bool recorded_ = false;  ///< The record is durable.
};

}  // namespace trainyard::warden
