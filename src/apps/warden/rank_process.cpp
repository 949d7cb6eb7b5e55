#include "apps/warden/rank_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
extern "C" {  // glibc 2.36 forgets it.
#include <sys/pidfd.h>
}
#include <sys/wait.h>

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

/// Temporary file, fdatasync, rename: a reader sees the whole record or none.
Result<void> write_record_file(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".tmp";
  ASSIGN_OR_RETURN(const UniqueFd file, open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  TRY(write_all(file.get(), text, temporary));
  TRY(sync_data(file.get(), temporary));
  FAILPOINT("warden.before_exit_record");
  if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error(errno, "rename", path);
  FAILPOINT("warden.after_exit_record");
  return {};
}

}  // namespace

RankProcess::~RankProcess() {
  deps_.loop.unwatch(leader_watch_);
  for (const TimerId timer : {stop_timer_, linger_timer_, record_timer_}) deps_.loop.cancel(timer);
}

void RankProcess::start(const exec::RankLaunch& launch_request) {
  observation_.rank = launch_request.rank;
  observation_.started_at = deps_.clock.now();
  paths_ = exec::spool_paths(deps_.environment.data_dir, launch_request.rank);
  grace_ = launch_request.grace;
  if (const Result<void> launched = launch(launch_request); !launched.ok()) {
    exec::RankExit exit;
    exit.code = 127;
    exit.launch_error = launched.error().describe();
    if (output_) {
      output_->note("the program was not started: " + exit.launch_error);
      output_->close_now();
    }
    end_with(exit);
    return;
  }
  observation_.phase = exec::RankObservation::Phase::kRunning;
  observation_.pid = pid_;
  callbacks_.on_changed();
}

Result<void> RankProcess::launch(const exec::RankLaunch& request) {
  TRY(write_launch_files(request, deps_.environment));
  const exec::StartRecord started{.rank = request.rank, .boot_id = deps_.environment.boot_id, .started_at = observation_.started_at};
  TRY(write_file_atomically(paths_.start_record, exec::to_text(started)));
  RankOutput::WriteEnds ends;
  ASSIGN_OR_RETURN(output_, RankOutput::make(paths_, request.token, settings_.output, {deps_.loop, deps_.clock},
                                             {.on_grown = [this] { callbacks_.on_grown(); },
                                              .on_closed =
                                                  [this] {
                                                    if (leader_ended_) finish();
                                                  }},
                                             ends));
  oom_kills_before_ = oom_kill_count();
  FAILPOINT("warden.before_spawn");
  ASSIGN_OR_RETURN(
      pid_, spawn_rank(request.argv, rank_environment(request, deps_.environment), workdir_of(request, deps_.environment.data_dir), ends));
  const Result<void> watched = watch_leader();
  if (watched.ok()) return {};
  kill_group(SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  (void)deps_.groups.remove(pid_);
  pid_ = 0;
  return watched;
}

Result<void> RankProcess::watch_leader() {
  FAILPOINT("warden.after_fork");
  pidfd_.reset(::pidfd_open(pid_, 0));
  if (!pidfd_.valid()) return system_error(errno, "pidfd_open", "");
  TRY(deps_.groups.add(pid_));
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
  if (record_ || pid_ == 0) return;
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
    exit_.oom = info.si_status == SIGKILL && !killed_by_us_ && oom_kill_count() > oom_kills_before_;
  }
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

void RankProcess::on_linger_over() {
  linger_over_ = true;
  kill_group(SIGKILL);
  deps_.sweep_strays();
  linger_timer_ = deps_.loop.call_after(settings_.pipe_patience, [this] {
    linger_timer_ = {};
    output_->close_now();
  });
}

void RankProcess::finish() {
  if (record_) return;
  kill_group(SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  (void)deps_.groups.remove(pid_);  // A line too many costs one look at processes that are gone.
  pid_ = 0;
  deps_.sweep_strays();
  end_with(exit_);
}

void RankProcess::end_with(exec::RankExit exit) {
  if (exit.ended_at == TimePoint()) exit.ended_at = deps_.clock.now();
  for (TimerId* timer : {&stop_timer_, &linger_timer_}) {
    deps_.loop.cancel(*timer);
    *timer = {};
  }
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

void RankProcess::write_record() {
  record_timer_ = {};
  Result<void> written = make_directories(paths_.directory);
  if (written.ok() && output_) written = output_->sync();
  if (written.ok()) written = write_record_file(paths_.exit_record, exec::to_text(*record_));
  if (!written.ok()) {
    record_timer_ = deps_.loop.call_after(settings_.record_retry, [this] { write_record(); });
    return;
  }
  (void)remove_tree(paths_.token);
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
  rank.log_size = record_ ? record_->log_size : output_ ? output_->log_size() : 0;
  rank.events_size = record_ ? record_->events_size : output_ ? output_->events_size() : 0;
  return rank;
}

}  // namespace trainyard::warden
