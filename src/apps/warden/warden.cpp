#include "apps/warden/warden.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <utility>

#include "base/failpoint.h"
#include "base/rng.h"

namespace trainyard::warden {
namespace {

constexpr Duration kLeftoverPatience{5'000'000};
constexpr Duration kSweepDelay{20'000};
/// After the grace of a shutdown, for kernel and disk.
constexpr Duration kShutdownSlack{5'000'000};

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Warden::Warden(WardenSettings settings, Deps deps, exec::GroupRegistry groups, Spares spares, LaunchSlots slots)
    : settings_(std::move(settings)),
      deps_(deps),
      groups_(std::move(groups)),
      spares_(std::move(spares)),
      slots_(std::move(slots)),
      spool_(settings_.spool_max) {
  std::vector<std::string> reasons;
  limiter_ = settings_.control_groups ? make_limiter(settings_.limit_roots, settings_.data_dir, reasons) : make_process_limiter();
  fmt::print(stderr, "ranks are limited by {}\n", limiter_->name());
  for (const std::string& reason : reasons) fmt::print(stderr, "no stronger limits: {}\n", reason);
  environment_.program_dir = settings_.program_dir;
  environment_.data_dir = settings_.data_dir;
  environment_.inherited = inherited_environment();
}

Result<std::unique_ptr<Warden>> Warden::make(WardenSettings settings, Deps deps) {
  const std::string run = exec::run_directory(settings.data_dir);
  TRY(exec::kill_recorded_groups(run + "/groups", kLeftoverPatience, deps.clock));
  const std::string boot_id = secure_random_hex(16);
  ASSIGN_OR_RETURN(exec::GroupRegistry groups, exec::GroupRegistry::make(run + "/groups", boot_id));
  ASSIGN_OR_RETURN(Spares spares, Spares::make(run + "/spare"));
  ASSIGN_OR_RETURN(LaunchSlots slots, LaunchSlots::open(exec::slots_directory(settings.data_dir)));
  std::unique_ptr<Warden> warden(new Warden(std::move(settings), deps, std::move(groups), std::move(spares), std::move(slots)));
  warden->environment_.boot_id = boot_id;
  const WardenSettings& made = warden->settings_;
  warden->zygotes_.emplace(ZygoteSettings{.program_dir = made.zygotes ? made.program_dir : std::string(), .boot_id = boot_id},
                           Zygotes::Deps{deps.loop, deps.clock});
  TRY(warden->recover());
  Warden* const self = warden.get();
  ControlSocket::Callbacks callbacks;
  callbacks.on_message = [self](ConnectionId id, const Document& request) { self->on_message(id, request); };
  callbacks.on_closed = [self](ConnectionId id) {
    self->subscribers_.erase(id);
    self->leave_when_idle();
  };
  ASSIGN_OR_RETURN(warden->socket_, ControlSocket::make(run, deps.loop, std::move(callbacks)));
  warden->leave_when_idle();
  return warden;
}

Result<void> Warden::recover() {
  const std::string spool = exec::spool_directory(settings_.data_dir);
  TRY(make_directories(spool));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, list_directory(spool));
  for (const std::string& name : names) {
    const std::optional<RankKey> rank = exec::rank_of_spool_file(name);
    if (rank && name.ends_with(".exit.json")) TRY(recover_ended(*rank));
  }
  for (const exec::StartRecord& started : slots_.started()) {
    if (!ranks_.contains(started.rank)) TRY(record_lost(started));
  }
  TRY(slots_.empty());
  remove_unused_workdirs();
  return {};
}

Result<void> Warden::recover_ended(const RankKey& rank) {
  constexpr std::size_t kRecordMax = std::size_t{1} << 20;
  const exec::SpoolPaths paths = exec::spool_paths(settings_.data_dir, rank);
  const Result<std::string> text = read_file(paths.exit_record, kRecordMax);
  const Result<exec::ExitRecord> record = text.ok() ? exec::exit_record_from(*text) : Result<exec::ExitRecord>(text.error());
  // A crash of the machine may have left less output than the record tells of.
  if (record.ok() && record->rank == rank && file_size(paths.log).value_or(0) >= record->log_size &&
      file_size(paths.events).value_or(0) >= record->events_size) {
    add_rank(rank).restore(*record);
    return {};
  }
  exec::StartRecord started;
  started.rank = rank;
  return record_lost(started);
}

/// Started and never seen to end: the warden before this one died. Its processes are gone by now.
Result<void> Warden::record_lost(const exec::StartRecord& started) {
  const exec::SpoolPaths paths = exec::spool_paths(settings_.data_dir, started.rank);
  exec::ExitRecord record;
  record.rank = started.rank;
  record.started_at = started.started_at;
  record.exit.code = 128 + SIGKILL;
  record.exit.signal = SIGKILL;
  record.exit.lost = true;
  record.exit.ended_at = deps_.clock.now();
  ASSIGN_OR_RETURN(record.log_size, repair_log_file(paths.log, exec::read_shipped_mark(paths).log_size));
  ASSIGN_OR_RETURN(record.events_size, repair_events_file(paths.events));
  add_rank(started.rank).record_end_unseen(record);
  return {};
}

/// Of attempts that are gone or were only prepared; what programs left in theirs stays.
void Warden::remove_unused_workdirs() {
  const std::string work = exec::work_directory(settings_.data_dir);
  for (const std::string& job_name : list_directory(work).value_or({})) {
    const auto job = number_in<std::uint64_t>(job_name);
    if (!job) continue;
    for (const std::string& attempt_name : list_directory(work + "/" + job_name).value_or({})) {
      const auto number = number_in<std::uint32_t>(attempt_name);
      if (!number) continue;
      const AttemptKey attempt{JobId(*job), AttemptNumber(*number)};
      const auto next = ranks_.lower_bound({attempt, 0});
      if (next == ranks_.end() || next->first.attempt != attempt) spares_.take_back_workdir(work, attempt);
    }
  }
}

RankProcess& Warden::add_rank(const RankKey& rank) {
  auto process = std::make_unique<RankProcess>(
      settings_.rank,
      RankProcess::Deps{deps_.loop, deps_.clock, groups_, environment_, *limiter_, spool_, spares_, slots_, *zygotes_,
                        [this] { sweep_strays(); }},
      RankProcess::Callbacks{.on_changed = [this, rank] { on_rank_changed(rank); }, .on_grown = [this, rank] { on_rank_grown(rank); }});
  return *ranks_.emplace(rank, std::move(process)).first->second;
}

void Warden::on_message(ConnectionId connection, const Document& request) {
  deps_.loop.cancel(idle_timer_);
  idle_timer_ = {};
  const bool spool_was_full = spool_.full();
  Result<Document> reply = handle(connection, request);
  if (spool_was_full) {
    for (const auto& [key, rank] : ranks_) rank->look_at_share();
  }
  const Document* id = request.find("id");
  if (!reply.ok()) fmt::print(stderr, "request refused: {}: {}\n", request["type"].as_string().value_or("?"), reply.error().describe());
  if (id == nullptr) return;
  Document message;
  if (reply.ok()) {
    message = std::move(reply).value();
  } else {
    message.set("error", Document::object({{"id", reply.error().id}, {"message", reply.error().message}}));
  }
  message.set("reply", *id);
  if (socket_) socket_->send(connection, message);
}

Result<Document> Warden::handle(ConnectionId connection, const Document& request) {
  ASSIGN_OR_RETURN(const std::string type, request.string_at("type"));
  if (type == "hello") {
    return Document::object({{"boot_id", environment_.boot_id},
                             {"pid", std::int64_t{::getpid()}},
                             {"protocol", exec::kWardenProtocol},
                             {"limited_by", limiter_->name()}});
  }
  if (type == "subscribe") subscribers_.insert(connection);
  if (type == "subscribe" || type == "list") return state_of_all();
  if (type == "prepare") return prepare(request);
  if (type == "start") return start(request);
  if (type == "shutdown") {
    ASSIGN_OR_RETURN(const std::int64_t grace, request.int_or("grace_us", settings_.grace.count()));
    shutdown(Duration(grace));
    return Document::object();
  }

  ASSIGN_OR_RETURN(const RankKey key, exec::rank_key_from(request["rank"]));
  if (type == "stop") return stop(request);
  const auto found = ranks_.find(key);
  if (found == ranks_.end()) return not_found("warden.no_rank", "the warden does not know this rank: " + exec::text_of(key));
  RankProcess& rank = *found->second;
  if (type == "forget") return forget(key);
  if (type == "checkpoint") {
    ASSIGN_OR_RETURN(const std::uint64_t number, request["number"].as_unsigned());
    rank.request_checkpoint(static_cast<std::uint32_t>(number));
    return Document::object();
  }
  if (type == "signal") {
    ASSIGN_OR_RETURN(const std::int64_t number, request.int_at("signal"));
    rank.signal(static_cast<int>(number));
    return Document::object();
  }
  if (type == "shipped") {
    exec::ShippedMark mark;
    ASSIGN_OR_RETURN(mark.log_size, request["log_size"].as_unsigned());
    ASSIGN_OR_RETURN(mark.events_size, request["events_size"].as_unsigned());
    ASSIGN_OR_RETURN(mark.event_lines, request["event_lines"].as_unsigned());
    rank.set_shipped(mark);
    return Document::object();
  }
  return invalid_argument("warden.request", "the warden knows no request of this type: " + type);
}

Document Warden::state_of_all() const {
  Document ranks = Document::array();
  for (const auto& [key, rank] : ranks_) ranks.push(exec::to_document(rank->view()));
  return Document::object({{"ranks", std::move(ranks)}});
}

Result<Document> Warden::prepare(const Document& request) {
  ASSIGN_OR_RETURN(const exec::RankLaunch launch, exec::rank_launch_from(request["launch"]));
  if (ranks_.contains(launch.rank)) {
    on_rank_changed(launch.rank);
    return Document::object();
  }
  if (shutting_down_) return unavailable("warden.leaving", "the warden is leaving and prepares nothing: " + exec::text_of(launch.rank));
  add_rank(launch.rank).prepare(launch);
  return Document::object();
}

Result<Document> Warden::start(const Document& request) {
  ASSIGN_OR_RETURN(const exec::RankLaunch launch, exec::rank_launch_from(request["launch"]));
  if (const auto known = ranks_.find(launch.rank); known != ranks_.end()) {
    if (known->second->prepared() && !shutting_down_) {
      known->second->start(launch);
    } else {
      on_rank_changed(launch.rank);  // Started before: say how it is.
    }
    return Document::object();
  }
  if (shutting_down_) return unavailable("warden.leaving", "the warden is leaving and starts nothing: " + exec::text_of(launch.rank));
  add_rank(launch.rank).start(launch);
  return Document::object();
}

Result<Document> Warden::stop(const Document& request) {
  ASSIGN_OR_RETURN(const RankKey key, exec::rank_key_from(request["rank"]));
  ASSIGN_OR_RETURN(const std::int64_t grace, request.int_or("grace_us", settings_.grace.count()));
  if (const auto found = ranks_.find(key); found != ranks_.end()) {
    found->second->stop(Duration(grace));
    return Document::object();
  }
  // The stop came before the start: a start that comes later finds the end.
  exec::ExitRecord record;
  record.rank = key;
  record.exit.code = 128 + SIGTERM;
  record.exit.stop_requested = true;
  record.exit.launch_error = "stopped before it started";
  record.exit.ended_at = deps_.clock.now();
  add_rank(key).record_end_unseen(record);
  return Document::object();
}

Result<Document> Warden::forget(const RankKey& key) {
  if (!ranks_.at(key)->exited()) {
    return failed_precondition("warden.still_running", "a rank is forgotten only after its end: " + exec::text_of(key));
  }
  FAILPOINT("warden.before_forget");
  const exec::WardenRank last = ranks_.at(key)->view();
  ranks_.erase(key);
  grown_.erase(key);
  remove_files(key, last.log_size + last.events_size > 0);
  return Document::object();
}

void Warden::remove_files(const RankKey& key, bool wrote) {
  const exec::SpoolPaths paths = exec::spool_paths(settings_.data_dir, key);
  if (wrote) {
    for (const std::string& path : {paths.log, paths.events, paths.shipped}) ::unlink(path.c_str());
  }
  (void)hit_failpoint("warden.during_forget");
  spares_.take_back(paths.exit_record);
  const auto next = ranks_.lower_bound({key.attempt, 0});
  if (next != ranks_.end() && next->first.attempt == key.attempt) return;
  spares_.take_back_workdir(exec::work_directory(settings_.data_dir), key.attempt);
}

void Warden::push(std::string_view frames) {
  if (!socket_ || frames.empty()) return;
  const std::set<ConnectionId> receivers = subscribers_;  // Sending may close a connection and change the set.
  for (const ConnectionId receiver : receivers) socket_->send_frames(receiver, frames);
}

void Warden::on_rank_changed(const RankKey& rank) {
  changed_.insert(rank);
  if (!changed_timer_.valid()) changed_timer_ = deps_.loop.call_after(Duration(0), [this] { tell_changed(); });
}

void Warden::tell_changed() {
  changed_timer_ = {};
  bool any_ended = false;
  std::string frames;
  for (const RankKey& rank : std::exchange(changed_, {})) {
    const auto found = ranks_.find(rank);
    if (found == ranks_.end()) continue;
    const exec::WardenRank view = found->second->view();
    any_ended |= view.observation.exit.has_value();
    Document message = Document::object({{"push", "rank"}});
    message.set("rank", exec::to_document(view));
    frames += exec::encode_frame(message);
  }
  push(frames);
  if (!any_ended) return;
  leave_when_done();
  leave_when_idle();
}

void Warden::on_rank_grown(const RankKey& rank) {
  grown_.insert(rank);
  if (grown_timer_.valid() || subscribers_.empty()) return;
  grown_timer_ = deps_.loop.call_after(settings_.grown_delay, [this] {
    grown_timer_ = {};
    std::vector<exec::RankGrowth> growths;
    for (const RankKey& key : grown_) {
      const auto found = ranks_.find(key);
      if (found == ranks_.end()) continue;
      const exec::WardenRank view = found->second->view();
      growths.push_back({.rank = key, .log_size = view.log_size, .events_size = view.events_size});
    }
    grown_.clear();
    push(exec::encode_frame(exec::grown_push(growths)));
  });
}

/// Soon: one look finds what many signals tell of.
void Warden::on_child_signal() {
  if (sweep_timer_.valid()) return;
  sweep_timer_ = deps_.loop.call_after(kSweepDelay, [this] {
    sweep_timer_ = {};
    sweep_strays();
  });
}

bool Warden::runs(std::string_view marker) const {
  return std::any_of(ranks_.begin(), ranks_.end(), [&](const auto& entry) {
    return entry.second->shelters_strays() && marker == fmt::format("{}/{}", environment_.boot_id, exec::text_of(entry.first));
  });
}

/// Processes that left their group come to us when their parent ends, since we are the subreaper. The dead are collected; the living are
/// killed once the rank they came from has ended. Zygotes are no ranks and have their own keeper.
void Warden::sweep_strays() {
  std::set<pid_t> leaders;
  for (const auto& [key, rank] : ranks_) {
    if (rank->pid() != 0) leaders.insert(rank->pid());
  }
  for (const pid_t child : exec::own_children()) {
    if (leaders.contains(child) || zygotes_->owns(child) || ::waitpid(child, nullptr, WNOHANG) == child) continue;
    const auto marker = exec::environment_value(child, exec::kRankMarker);
    const bool orphaned = marker ? !runs(*marker) : !may_be_of_a_running_rank(child);
    if (orphaned) ::kill(child, SIGKILL);
  }
}

/// One that cleaned its environment: it belongs to none of the ranks that were started after it.
bool Warden::may_be_of_a_running_rank(pid_t process) const {
  const std::optional<exec::ProcessStat> stat = exec::process_stat(process);
  return std::any_of(ranks_.begin(), ranks_.end(), [&](const auto& entry) {
    if (!entry.second->shelters_strays() || !stat) return false;
    return groups_.start_of(entry.second->pid()).value_or(0) <= stat->start_ticks;
  });
}

bool Warden::any_running() const {
  return std::any_of(ranks_.begin(), ranks_.end(), [](const auto& entry) { return !entry.second->exited(); });
}

void Warden::shutdown(Duration grace) {
  if (!shutting_down_) {
    shutting_down_ = true;
    deps_.loop.call_after(grace + kShutdownSlack, [this] { deps_.loop.stop(); });
  }
  for (const auto& [key, rank] : ranks_) rank->stop(std::min(grace, rank->grace()));
  leave_when_done();
}

void Warden::leave_when_done() {
  if (!shutting_down_ || any_running()) return;
  // Not at once: the caller may still have a reply to send.
  deps_.loop.call_after(Duration(0), [this] { deps_.loop.stop(); });
}

void Warden::leave_when_idle() {
  if (idle_timer_.valid() || any_running() || (socket_ && socket_->connection_count() > 0)) return;
  idle_timer_ = deps_.loop.call_after(settings_.idle_exit, [this] {
    idle_timer_ = {};
    if (!any_running() && socket_->connection_count() == 0) deps_.loop.stop();
  });
}

}  // namespace trainyard::warden
