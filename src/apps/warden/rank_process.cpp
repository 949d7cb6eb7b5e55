#include "apps/warden/rank_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
extern "C" {  // glibc 2.36 forgets it.
#include <sys/pidfd.h>
}
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "base/failpoint.h"

namespace trainyard::warden {
namespace {

/// How many processes the kernel has ended for want of memory since boot.
std::uint64_t oom_kill_count() {
  const Result<std::string> text = read_file("/proc/vmstat", std::size_t{1} << 20);
  if (!text.ok()) return 0;
  constexpr std::string_view kField = "\noom_kill ";
  const std::size_t at = text->find(kField);
  if (at == std::string::npos) return 0;
  std::uint64_t count = 0;
  std::from_chars(text->data() + at + kField.size(), text->data() + text->size(), count);
  return count;
}

}  // namespace

RankProcess::~RankProcess() {
  deps_.loop.unwatch(leader_watch_);
  for (const TimerId timer : {stop_timer_, linger_timer_, record_timer_, long_lived_timer_}) deps_.loop.cancel(timer);
}

void RankProcess::begin(const exec::RankLaunch& request) {
  observation_.rank = request.rank;
  observation_.started_at = deps_.clock.now();
  observation_.devices = request.devices;
  paths_ = exec::spool_paths(deps_.environment.data_dir, request.rank);
  grace_ = request.grace;
}

void RankProcess::fail_launch(const Error& error) {
  exec::RankExit exit;
  exit.code = 127;
  exit.launch_error = error.describe();
  if (output_) {
    output_->note("the program was not started: " + exit.launch_error);
    output_->close_now();
  }
  end_with(exit);
}

Result<void> RankProcess::write_files(const exec::RankLaunch& request) {
  if (!files_) {
    ASSIGN_OR_RETURN(files_, deps_.slots.take());
  }
  return write_launch_files(request, deps_.environment, *files_, deps_.spares);
}

Result<void> RankProcess::make_ready(const exec::RankLaunch& request) {
  FAILPOINT("warden.before_spawn");
  TRY(write_files(request));
  TRY(find_rank_program(request.argv, rank_environment(request, deps_.environment, *files_)));
  if (request.rank.rank != 0) return {};
  ASSIGN_OR_RETURN(port_, PortReservation::make(request.rank.attempt.job.value * 31 + request.rank.attempt.attempt.value));
  observation_.port = port_.port();
  return {};
}

void RankProcess::prepare(const exec::RankLaunch& request) {
  begin(request);
  if (const Result<void> ready = make_ready(request); !ready.ok()) return fail_launch(ready.error());
  observation_.phase = exec::RankObservation::Phase::kPrepared;
  callbacks_.on_changed();
}

void RankProcess::start(const exec::RankLaunch& launch_request) {
  begin(launch_request);
  observation_.phase = exec::RankObservation::Phase::kStarting;
  if (const Result<void> launched = launch(launch_request); !launched.ok()) return fail_launch(launched.error());
  observation_.phase = exec::RankObservation::Phase::kRunning;
  observation_.pid = pid_;
  callbacks_.on_changed();
}

Result<void> RankProcess::launch(const exec::RankLaunch& request) {
  TRY(write_files(request));
  const exec::StartRecord started{.rank = request.rank, .boot_id = deps_.environment.boot_id, .started_at = observation_.started_at};
  TRY(files_->start_record.write(exec::to_text(started)));
  RankOutput::WriteEnds ends;
  ASSIGN_OR_RETURN(output_, RankOutput::make(paths_, request.token, settings_.output, {deps_.loop, deps_.clock, share_},
                                             {.on_grown = [this] { callbacks_.on_grown(); },
                                              .on_held = [this] { callbacks_.on_changed(); },
                                              .on_closed =
                                                  [this] {
                                                    if (leader_ended_) finish();
                                                  }},
                                             ends));
  limits_ = deps_.limiter.limit(request.resources);
  if (!limits_->sees_oom()) oom_kills_before_ = oom_kill_count();
  FAILPOINT("warden.before_spawn");
  port_.release();
  started_from_ = exec::boot_ticks();
  ASSIGN_OR_RETURN(const SpawnedRank spawned, make_process(request, ends));
  pid_ = spawned.pid;
  observation_.limited_by = spawned.limited ? limits_->name() : "rlimit";
  const Result<void> watched = watch_leader();
  if (!watched.ok()) {
    kill_group(SIGKILL);
    collect_leader();
    return watched;
  }
  long_lived_timer_ = deps_.loop.call_after(settings_.long_lived, [this] {
    long_lived_timer_ = {};
    limits_->on_long_lived();
  });
  return {};
}

Result<SpawnedRank> RankProcess::make_process(const exec::RankLaunch& request, const RankOutput::WriteEnds& ends) {
  const std::map<std::string, std::string> environment = rank_environment(request, deps_.environment, *files_);
  const std::string workdir = workdir_of(request, deps_.environment.data_dir);
  const ChildLimits limits = limits_->child();
  if (const auto forked = deps_.zygotes.launch({request.argv, environment, workdir, ends, limits})) return *forked;
  return spawn_rank(request.argv, environment, workdir, ends, limits);
}

/// After its end: the pid, and the group's number with it, may be given to others from here on.
void RankProcess::collect_leader() {
  rusage usage{};
  pid_t collected = 0;
  while ((collected = ::wait4(pid_, nullptr, 0, &usage)) < 0 && errno == EINTR) {
  }
  if (collected == pid_) {
    const auto micros_of = [](const timeval& time) { return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_usec; };
    exit_.usage = exec::RankUsage{.cpu_us = micros_of(usage.ru_utime) + micros_of(usage.ru_stime),
                                  .max_rss_bytes = std::int64_t{usage.ru_maxrss} * 1024};
  }
  (void)deps_.groups.remove(pid_);  // A line too many costs one look at processes that are gone.
  pid_ = 0;
}

Result<void> RankProcess::watch_leader() {
  FAILPOINT("warden.after_fork");
  pidfd_.reset(::pidfd_open(pid_, 0));
  if (!pidfd_.valid()) return system_error(errno, "pidfd_open", "");
  TRY(deps_.groups.add(pid_, started_from_));
  FAILPOINT("warden.after_spawn");
  ASSIGN_OR_RETURN(leader_watch_, deps_.loop.watch(pidfd_.get(), EPOLLIN, [this](std::uint32_t) { on_leader_exit(); }));
  return {};
}

void RankProcess::restore(const exec::ExitRecord& record) {
  observation_.rank = record.rank;
  observation_.phase = exec::RankObservation::Phase::kExited;
  observation_.pid = record.pid;
  observation_.started_at = record.started_at;
  observation_.exit = record.exit;
  paths_ = exec::spool_paths(deps_.environment.data_dir, record.rank);
  stopping_ = record.exit.stop_requested;
  record_ = record;
  recorded_ = true;
  const exec::ShippedMark shipped = exec::read_shipped_mark(paths_);
  share_.set(record.log_size - std::min(shipped.log_size, record.log_size) + record.events_size -
             std::min(shipped.events_size, record.events_size));
}

void RankProcess::record_end_unseen(const exec::ExitRecord& record) {
  observation_.rank = record.rank;
  observation_.started_at = record.started_at;
  paths_ = exec::spool_paths(deps_.environment.data_dir, record.rank);
  record_ = record;
  write_record();
}

void RankProcess::kill_group(int signal) const {
  if (pid_ > 1) ::kill(-pid_, signal);
}

void RankProcess::stop(Duration grace) {
  if (record_) return;
  if (prepared()) {
    stopping_ = true;
    exec::RankExit exit;
    exit.code = 128 + SIGTERM;
    exit.stop_requested = true;
    exit.launch_error = "stopped before it started";
    return end_with(exit);
  }
  if (pid_ == 0) return;
  const MonotonicPoint kill_at = deps_.clock.monotonic_now() + grace;
  if (!stopping_) {
    stopping_ = true;
    kill_at_ = kill_at;
    kill_group(SIGTERM);
    kill_group(SIGCONT);  // A stopped process cannot heed the request.
    callbacks_.on_changed();
  } else if (kill_at >= kill_at_) {
    return;
  }
  kill_at_ = kill_at;
  deps_.loop.cancel(stop_timer_);
  const auto kill_now = [this] {
    stop_timer_ = {};
    killed_by_us_ = true;
    kill_group(SIGKILL);
  };
  if (grace <= Duration(0)) {
    kill_now();
  } else {
    stop_timer_ = deps_.loop.call_after(grace, kill_now);
  }
}

void RankProcess::request_checkpoint(std::uint32_t number) {
  if (record_ || leader_ended_ || pid_ == 0 || number <= checkpoint_number_) return;
  // The default action of SIGUSR1 is death: only those that handle it get it. The agent asks again until somebody does.
  bool delivered = false;
  for (const exec::ProcessStat& process : exec::list_processes()) {
    if (process.group != pid_ || process.zombie || !exec::catches_signal(process.pid, SIGUSR1)) continue;
    delivered = ::kill(process.pid, SIGUSR1) == 0 || delivered;
  }
  if (!delivered) return;
  checkpoint_number_ = number;
  callbacks_.on_changed();
}

void RankProcess::signal(int number) {
  if (!record_ && !leader_ended_ && number > 0 && number < NSIG) kill_group(number);
}

void RankProcess::set_shipped(const exec::ShippedMark& mark) {
  if (output_) output_->set_shipped(mark);
}

void RankProcess::look_at_share() {
  if (output_) output_->look_at_share();
}

void RankProcess::on_leader_exit() {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
  deps_.loop.unwatch(leader_watch_);
  leader_watch_ = {};
  leader_ended_ = true;
  exit_.ended_at = deps_.clock.now();
  if (info.si_code == CLD_EXITED) {
    exit_.code = info.si_status;
  } else {
    exit_.signal = info.si_status;
    exit_.code = 128 + info.si_status;
  }
  exit_.oom = out_of_memory();
  exit_.stop_requested = stopping_;
  if (output_->closed()) {
    finish();
    return;
  }
  // During a stop the rest of the group has the whole grace, for example a trainer below a shell that left at once.
  Duration patience = settings_.linger;
  if (stopping_) patience = std::max(patience, kill_at_ - deps_.clock.monotonic_now());
  linger_timer_ = deps_.loop.call_after(patience, [this] { on_linger_over(); });
}

/// Also when it was a child of the rank that the kernel ended, where the limits count that.
bool RankProcess::out_of_memory() const {
  if (limits_->sees_oom()) return limits_->oom_kills() > 0;
  return exit_.signal == SIGKILL && !killed_by_us_ && oom_kill_count() > oom_kills_before_;
}

void RankProcess::on_linger_over() {
  linger_over_ = true;
  kill_group(SIGKILL);
  (void)limits_->kill_all();
  deps_.sweep_strays();
  linger_timer_ = deps_.loop.call_after(settings_.pipe_patience, [this] {
    linger_timer_ = {};
    output_->close_now();
  });
}

void RankProcess::finish() {
  if (record_) return;
  kill_group(SIGKILL);
  collect_leader();
  // Who is in its groups is known, whatever became of its environment; else the strays are looked for.
  (void)limits_->kill_all();
  if (!limits_->sees_members()) deps_.sweep_strays();
  end_with(exit_);
}

void RankProcess::end_with(exec::RankExit exit) {
  if (exit.ended_at == TimePoint()) exit.ended_at = deps_.clock.now();
  for (TimerId* timer : {&stop_timer_, &linger_timer_, &long_lived_timer_}) {
    deps_.loop.cancel(*timer);
    *timer = {};
  }
  limits_.reset();
  port_.release();
  deps_.loop.unwatch(leader_watch_);
  leader_watch_ = {};
  pidfd_.reset();
  exec::ExitRecord record;
  record.rank = observation_.rank;
  record.pid = observation_.pid;
  record.started_at = observation_.started_at;
  record.exit = std::move(exit);
  record.log_size = output_ ? output_->log_size() : 0;
  record.events_size = output_ ? output_->events_size() : 0;
  record_ = std::move(record);
  write_record();
}

/// A reader sees the whole record or none. It outlives every process; a crash of the machine may lose it, and then the rank counts as lost
/// with the machine it ran on.
Result<void> RankProcess::publish_record() {
  ASSIGN_OR_RETURN(const std::string staged, deps_.spares.stage(exec::to_text(*record_)));
  FAILPOINT("warden.before_exit_record");
  TRY(deps_.spares.publish(staged, paths_.exit_record));
  FAILPOINT("warden.after_exit_record");
  return {};
}

void RankProcess::write_record() {
  record_timer_ = {};
  const Result<void> written = publish_record();
  if (!written.ok()) {
    record_timer_ = deps_.loop.call_after(settings_.record_retry, [this] { write_record(); });
    return;
  }
  if (files_) deps_.slots.give_back(std::move(*files_));
  files_.reset();
  recorded_ = true;
  observation_.phase = exec::RankObservation::Phase::kExited;
  observation_.exit = record_->exit;
  // Not at once: its own callback may have led here.
  record_timer_ = deps_.loop.call_after(Duration(0), [this] {
    record_timer_ = {};
    output_.reset();
  });
  callbacks_.on_changed();
}

exec::WardenRank RankProcess::view() const {
  exec::WardenRank rank{.observation = observation_, .stopping = stopping_, .checkpoint_number = checkpoint_number_};
  rank.observation.output_held = output_ && output_->held();
  rank.log_size = record_ ? record_->log_size : output_ ? output_->log_size() : 0;
  rank.events_size = record_ ? record_->events_size : output_ ? output_->events_size() : 0;
  return rank;
}

}  // namespace trainyard::warden
