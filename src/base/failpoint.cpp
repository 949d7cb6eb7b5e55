#include "base/failpoint.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <mutex>

namespace trainyard {
namespace {

struct Armed {
  std::string name;
  std::string action;
  int hits_left = 1;
};

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
  if (armed.action != "exit" && armed.action != "io" && armed.action != "disk_full") {
    return invalid_argument("failpoint.syntax", fmt::format("a failpoint action is exit, io or disk_full, not \"{}\"", armed.action));
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
  if (const Result<void> armed = arm_failpoints(list); !armed.ok()) {
    fmt::print(stderr, "TRAINYARD_FAILPOINTS: {}\n", armed.error().describe());
    std::_Exit(64);
  }
}

}  // namespace

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
  static const bool environment_read = (arm_from_environment(), true);
  (void)environment_read;
  if (!g_any_armed.load(std::memory_order_relaxed)) return {};

  const std::lock_guard lock(g_mutex);
  const auto& names = failpoint_names();
  CHECK(std::binary_search(names.begin(), names.end(), name), name);
  for (Armed& armed : g_armed) {
    if (armed.name != name || armed.hits_left == 0 || --armed.hits_left > 0) continue;
    if (armed.action == "exit") _exit(137);
    const std::string message = fmt::format("injected at failpoint {}", name);
    if (armed.action == "disk_full")
      return Error{Category::kResourceExhausted, "io.disk_full", "no space left on device: " + message, {}, {}};
    return unavailable("failpoint.injected", message);
  }
  return {};
}

const std::vector<std::string_view>& failpoint_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> list{
        "agent.after_ship",
        "agent.before_report",
        "agent.before_ship",
        "checkpoint.after_manifest",
        "checkpoint.after_write_before_manifest",
        "etl.disk_full",
        "jobs.after_launch",
        "jobs.before_launch",
        "jobs.before_release",
        "ledger.after_commit",
        "ledger.after_write_before_commit",
        "ledger.before_commit",
        "log.after_append_before_sync",
        "object.after_rename_before_sync",
        "object.after_write_before_rename",
        "warden.after_spawn",
        "warden.before_exit_record",
        "workflow.after_commit",
        "workflow.before_commit",
    };
    std::sort(list.begin(), list.end());
    return list;
  }();
  return names;
}

}  // namespace trainyard
