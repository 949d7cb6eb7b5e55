#include "exec/process_groups.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

namespace trainyard::exec {
namespace {

constexpr std::string_view kMagic = "trainyard-groups";
constexpr int kVersion = 1;
constexpr std::size_t kGroupsFileMax = std::size_t{16} << 20;
constexpr std::size_t kHistoryMax = 1024;

}  // namespace

std::uint64_t boot_ticks() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  const auto per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  constexpr std::uint64_t kNanosPerSecond = 1'000'000'000;
  return static_cast<std::uint64_t>(time.tv_sec) * per_second + static_cast<std::uint64_t>(time.tv_nsec) * per_second / kNanosPerSecond;
}

std::string kernel_boot_id() {
  Result<std::string> text = read_file("/proc/sys/kernel/random/boot_id", 256);
  if (!text.ok()) return "unknown";
  std::string id = std::move(text).value();
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

namespace {

std::vector<ProcessStat> remains_of(const RecordedGroups& recorded) {
  const std::vector<ProcessStat> table = list_processes();
  std::vector<ProcessStat> found = members_of(recorded, table);
  const std::string marker = fmt::format("{}={}/", kRankMarker, recorded.boot_id);
  for (const ProcessStat& process : table) {
    const bool known = std::any_of(found.begin(), found.end(), [&](const ProcessStat& other) { return other.pid == process.pid; });
    if (!known && !process.zombie && process.pid != ::getpid() && environment_has(process.pid, marker)) found.push_back(process);
  }
  return found;
}

}  // namespace

Result<GroupRegistry> GroupRegistry::make(std::string path, std::string boot_id) {
  GroupRegistry registry(std::move(path), std::move(boot_id));
  TRY(registry.rewrite());
  return registry;
}

Result<void> GroupRegistry::rewrite() {
  std::string text = fmt::format("{} {} {} {} {}\n", kMagic, kVersion, boot_id_, kernel_boot_id(), ::getsid(0));
  for (const auto& [group, start] : groups_) text += fmt::format("+ {} {}\n", group, start);
  TRY(write_file_atomically(path_, text));
  ASSIGN_OR_RETURN(file_, open_file(path_, O_WRONLY | O_APPEND));
  lines_ = groups_.size();
  return {};
}

Result<void> GroupRegistry::append(std::string_view line) {
  TRY(write_all(file_.get(), line, path_));
  ++lines_;
  return {};
}

Result<void> GroupRegistry::add(pid_t group, std::uint64_t started_from) {
  groups_[group] = started_from;
  return append(fmt::format("+ {} {}\n", group, started_from));
}

Result<void> GroupRegistry::remove(pid_t group) {
  if (groups_.erase(group) == 0) return {};
  if (lines_ > kHistoryMax && lines_ > 4 * groups_.size()) return rewrite();
  return append(fmt::format("- {}\n", group));
}

std::optional<std::uint64_t> GroupRegistry::start_of(pid_t group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? std::nullopt : std::optional(found->second);
}

Result<RecordedGroups> parse_groups(std::string_view text) {
  std::istringstream lines{std::string(text)};
  std::string line;
  std::getline(lines, line);
  RecordedGroups recorded;
  std::istringstream head(line);
  std::string magic;
  int version = 0;
  if (!(head >> magic >> version >> recorded.boot_id >> recorded.kernel_boot_id >> recorded.session) || magic != kMagic ||
      version != kVersion) {
    return data_loss("spool.corrupt", fmt::format("the first line of the groups file is damaged: \"{}\"", line));
  }
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string sign;
    pid_t group = 0;
    std::uint64_t start = 0;
    if (!(words >> sign >> group) || group <= 1) continue;
    if (sign == "-") recorded.groups.erase(group);
    if (sign == "+" && words >> start) recorded.groups[group] = start;
  }
  return recorded;
}

std::vector<ProcessStat> members_of(const RecordedGroups& recorded, const std::vector<ProcessStat>& table) {
  std::vector<ProcessStat> members;
  for (const ProcessStat& process : table) {
    const auto group = recorded.groups.find(process.group);
    if (group == recorded.groups.end() || process.zombie) continue;
    if (process.session == recorded.session && process.start_ticks >= group->second) members.push_back(process);
  }
  return members;
}

Result<void> kill_recorded_groups(const std::string& path, Duration patience, const Clock& clock) {
  const Result<std::string> text = read_file(path, kGroupsFileMax);
  if (!text.ok() && text.error().category == Category::kNotFound) return {};
  if (!text.ok()) return text.error();
  ASSIGN_OR_RETURN(const RecordedGroups recorded, parse_groups(*text));
  if (recorded.kernel_boot_id != kernel_boot_id()) return {};

  // Those that are killed may have forked meanwhile: look again until nobody is found.
  const MonotonicPoint deadline = clock.monotonic_now() + patience;
  for (;;) {
    const std::vector<ProcessStat> found = remains_of(recorded);
    if (found.empty()) return {};
    const Duration left = deadline - clock.monotonic_now();
    if (left <= Duration(0)) {
      return Error{Category::kDeadlineExceeded,
                   "warden.groups_left",
                   fmt::format("processes of a dead warden did not end after SIGKILL: {} of them, the first is pid {}", found.size(),
                               found.front().pid),
                   {},
                   {}};
    }
    kill_processes(found, left, clock);
  }
}

}  // namespace trainyard::exec
