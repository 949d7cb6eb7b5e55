#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apps/warden/event_loop.h"
#include "apps/warden/limits.h"
#include "apps/warden/port_reservation.h"
#include "apps/warden/rank_output.h"
#include "apps/warden/spawn.h"
#include "apps/warden/zygotes.h"
#include "exec/process_groups.h"
#include "exec/warden_protocol.h"

namespace trainyard::warden {

struct RankSettings {
  RankOutputSettings output;
  Duration linger{2'000'000};         ///< How long grandchildren may hold the pipes open after the rank itself has ended.
  Duration pipe_patience{1'000'000};  ///< How long pipes may stay open after SIGKILL to the group.
  Duration record_retry{1'000'000};   ///< Between attempts to write the exit record to a full disk.
  Duration long_lived{300'000};       ///< A rank that lives for so long gets the limits that are too dear for a short one.
};

/// One rank from its launch to its exit record.
///
///   prepare --program missing, stopped------------------------> RECORDING --written--> EXITED
///     +--> PREPARED --start--+                                     ^
///   start <------------------+ --exec fails------------------------+
///     +--> RUNNING --leader ends--> DRAINING --pipes closed--------+
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
    Limiter& limiter;
    SpoolBudget& spool;
    Spares& spares;
    LaunchSlots& slots;
    Zygotes& zygotes;
    /// Kills processes that left the group; called once its leader and group have ended.
    std::function<void()> sweep_strays;
  };
  struct Callbacks {
    std::function<void()> on_changed;  ///< The phase, the stop flag or the checkpoint number changed.
    std::function<void()> on_grown;    ///< The output files have grown.
  };

  RankProcess(RankSettings settings, Deps deps, Callbacks callbacks)
      : settings_(settings), deps_(std::move(deps)), callbacks_(std::move(callbacks)), share_(deps_.spool) {}
  ~RankProcess();
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  /// Makes everything ready that can go wrong before the start, and for rank 0 chooses a port; a failure becomes an exit record with a
  /// launch error. Nothing of it outlives the warden. Called at most once, before `start`.
  void prepare(const exec::RankLaunch& launch);
  bool prepared() const { return observation_.phase == exec::RankObservation::Phase::kPrepared; }
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
  /// There may be room in the spool again.
  void look_at_share();

  exec::WardenRank view() const;
  bool exited() const { return record_.has_value() && recorded_; }
  pid_t pid() const { return pid_; }
  /// False once nothing that the rank started may live on.
  bool shelters_strays() const { return pid_ != 0 && !linger_over_; }
  Duration grace() const { return grace_; }

 private:
  Result<void> write_files(const exec::RankLaunch& launch);
  Result<void> make_ready(const exec::RankLaunch& launch);
  Result<void> launch(const exec::RankLaunch& launch);
  Result<SpawnedRank> make_process(const exec::RankLaunch& launch, const RankOutput::WriteEnds& ends);
  void fail_launch(const Error& error);
  void begin(const exec::RankLaunch& launch);
  void collect_leader();
  bool out_of_memory() const;
  Result<void> watch_leader();
  void on_leader_exit();
  void on_linger_over();
  void finish();
  void end_with(exec::RankExit exit);
  Result<void> publish_record();
  void write_record();
  void kill_group(int signal) const;

  RankSettings settings_;
  Deps deps_;
  Callbacks callbacks_;
  exec::RankObservation observation_;
  exec::SpoolPaths paths_;
  Duration grace_{0};
  SpoolShare share_;
  std::unique_ptr<RankOutput> output_;
  pid_t pid_ = 0;
  std::uint64_t started_from_ = 0;  ///< Clock ticks since boot, before it was started.
  UniqueFd pidfd_;
  WatchId leader_watch_;
  TimerId stop_timer_;
  TimerId linger_timer_;
  TimerId record_timer_;
  TimerId long_lived_timer_;
  MonotonicPoint kill_at_;
  bool stopping_ = false;
  bool killed_by_us_ = false;
  bool leader_ended_ = false;
  bool linger_over_ = false;
  std::uint32_t checkpoint_number_ = 0;
  std::optional<LaunchFiles> files_;  ///< Until the end is recorded.
  std::unique_ptr<RankLimits> limits_;
  PortReservation port_;
  std::uint64_t oom_kills_before_ = 0;  ///< Of the machine, where the limits do not count them.
  exec::RankExit exit_;                 ///< How the leader ended, while its output drains.
  std::optional<exec::ExitRecord> record_;
  bool recorded_ = false;  ///< The record is durable.
};

}  // namespace trainyard::warden
