#include "base/failpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <mutex>

namespace trainyard {
namespace {

/// Every failpoint of the product. What each puts at stake: docs/reliability.md.
constexpr std::array kNames = std::to_array<std::string_view>({
    "access.after_grant_commit",
    "access.after_join_commit",
    "access.after_renew_commit",
    "access.after_revoke_commit",
    "access.after_token_commit",
    "access.before_join_commit",
    "access.before_revoke_commit",
    "access.before_token_commit",
    "agent.after_ack_recorded",
    "agent.after_events_ack",
    "agent.after_events_read",
    "agent.after_forget",
    "agent.after_log_ack",
    "agent.after_log_read",
    "agent.after_report",
    "agent.after_ship",
    "agent.after_start",
    "agent.before_forget",
    "agent.before_report",
    "agent.before_ship",
    "agent.before_start",
    "checkpoint.after_manifest",
    "checkpoint.after_write_before_manifest",
    "cluster.after_intent_commit",
    "cluster.before_intent_commit",
    "credential.after_save",
    "credential.before_save",
    "database.after_migration",
    "etl.disk_full",
    "events.after_metrics",
    "file.before_rename",
    "history.after_record",
    "history.before_commit",
    "history.before_record",
    "jobs.after_elements_made",
    "jobs.after_ends_settled",
    "jobs.after_launch",
    "jobs.after_release",
    "jobs.before_commit",
    "jobs.before_end_told",
    "jobs.before_forget_sent",
    "jobs.before_hold_told",
    "jobs.before_launch",
    "jobs.before_priority_told",
    "jobs.before_release",
    "jobs.before_release_told",
    "jobs.before_stop_sent",
    "jobs.before_stop_told",
    "ledger.after_checkpoint",
    "ledger.after_commit",
    "ledger.after_epoch_raised",
    "ledger.after_write_before_commit",
    "ledger.before_checkpoint",
    "ledger.before_commit",
    "log.after_append_before_sync",
    "log.after_new_segment",
    "log.after_sync",
    "log.before_append",
    "object.after_rename_before_sync",
    "object.after_write_before_rename",
    "pool.after_rank_release",
    "pool.after_report",
    "pool.before_answer",
    "pool.before_gang_release",
    "pool.before_report",
    "register.before_alias",
    "runs.before_close",
    "runs.before_open",
    "server.after_ledger_made",
    "server.after_token_file",
    "server.probe_disk",
    "warden.after_append",
    "warden.after_exit_record",
    "warden.after_fork",
    "warden.after_shipped_mark",
    "warden.after_spawn",
    "warden.before_append",
    "warden.before_exit_record",
    "warden.before_forget",
    "warden.before_shipped_mark",
    "warden.before_spawn",
    "warden.during_forget",
    "workflow.after_commit",
    "workflow.after_start",
    "workflow.before_commit",
    "workflow.before_start",
});

struct Armed {
  std::string name;
  std::string action;
  int hits_left = 1;
};

/// Long enough for an answer to leave the machine that should not have been given.
constexpr int kStallMilliseconds = 50;

std::mutex g_mutex;
std::vector<Armed> g_armed;  // guarded by g_mutex
std::atomic<bool> g_any_armed{false};

Result<Armed> parse_entry(std::string_view entry) {
  const std::size_t equals = entry.find('=');
  const std::size_t at = entry.find('@');
  if (equals == std::string_view::npos) {
    return invalid_argument("failpoint.syntax", fmt::format("a failpoint is armed as name=action[@n], not \"{}\"", entry));
  }
  Armed armed{std::string(entry.substr(0, equals)),
              std::string(entry.substr(equals + 1, at == std::string_view::npos ? at : at - equals - 1)), 1};
  if (at != std::string_view::npos) {
    const std::string_view count = entry.substr(at + 1);
    const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), armed.hits_left);
    if (error != std::errc() || end != count.data() + count.size() || armed.hits_left < 1) {
      return invalid_argument("failpoint.syntax", fmt::format("the hit count of a failpoint is a number from 1, not \"{}\"", count));
    }
  }
  if (armed.action != "exit" && armed.action != "stall" && armed.action != "io" && armed.action != "disk_full") {
    return invalid_argument("failpoint.syntax",
                            fmt::format("a failpoint action is exit, stall, io or disk_full, not \"{}\"", armed.action));
  }
  const auto& names = failpoint_names();
  if (!std::binary_search(names.begin(), names.end(), armed.name)) {
    return invalid_argument("failpoint.syntax", fmt::format("no failpoint is called \"{}\"", armed.name));
  }
  return armed;
}

/// Failpoints come from the environment of the process, once, before the first hit.
void arm_from_environment() {
  const char* list = std::getenv("TRAINYARD_FAILPOINTS");
  if (list == nullptr || *list == '\0') return;
  if (std::string_view(list) == "list") {
    for (const std::string_view name : failpoint_names()) fmt::print("{}\n", name);
    std::fflush(stdout);
    std::_Exit(0);
  }
  if (const Result<void> armed = arm_failpoints(list); !armed.ok()) {
    fmt::print(stderr, "TRAINYARD_FAILPOINTS: {}\n", armed.error().describe());
    std::_Exit(64);
  }
}

/// True when this process is to die at `name`: always without a mark file, else once for each file, which then holds the name.
bool leave_mark(std::string_view name) {
  const char* path = std::getenv("TRAINYARD_FAILPOINT_MARK");
  if (path == nullptr || *path == '\0') return true;
  const int file = ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool written = ::write(file, name.data(), name.size()) == static_cast<ssize_t>(name.size());
  ::close(file);
  return written;
}

void read_environment_once() {
  static const bool environment_read = (arm_from_environment(), true);
  (void)environment_read;
}

}  // namespace

void arm_failpoints_from_environment() { read_environment_once(); }

Result<void> arm_failpoints(std::string_view list) {
  std::vector<Armed> armed;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    ASSIGN_OR_RETURN(Armed entry, parse_entry(list.substr(0, comma)));
    armed.push_back(std::move(entry));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  const std::lock_guard lock(g_mutex);
  g_armed = std::move(armed);
  g_any_armed = !g_armed.empty();
  return {};
}

Result<void> hit_failpoint(std::string_view name) {
  read_environment_once();
  if (!g_any_armed.load(std::memory_order_relaxed)) return {};

  std::unique_lock lock(g_mutex);
  const auto& names = failpoint_names();
  CHECK(std::binary_search(names.begin(), names.end(), name), name);
  for (Armed& armed : g_armed) {
    if (armed.name != name || armed.hits_left == 0 || --armed.hits_left > 0) continue;
    if (armed.action == "exit" || armed.action == "stall") {
      if (armed.action == "stall") {
        lock.unlock();  // Other threads pass their failpoints meanwhile.
        (void)::poll(nullptr, 0, kStallMilliseconds);
      }
      if (leave_mark(name)) _exit(137);
      return {};
    }
    const std::string message = fmt::format("injected at failpoint {}", name);
    if (armed.action == "disk_full") return system_error(ENOSPC, "write", fmt::format("(failpoint {})", name));
    return unavailable("failpoint.injected", message);
  }
  return {};
}

const std::vector<std::string_view>& failpoint_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> list(kNames.begin(), kNames.end());
    std::sort(list.begin(), list.end());
    return list;
  }();
  return names;
}

}  // namespace trainyard
