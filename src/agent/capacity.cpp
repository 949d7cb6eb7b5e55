#include "agent/capacity.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "base/file.h"

namespace trainyard::agent {
namespace {

constexpr std::size_t kFileMax = 64 * 1024;
constexpr const char* kControlGroups = "/sys/fs/cgroup";

std::optional<std::string> text_of_file(const std::string& path) {
  Result<std::string> text = read_file(path, kFileMax);
  return text.ok() ? std::optional(std::move(text).value()) : std::nullopt;
}

std::optional<std::int64_t> number_in_file(const std::string& path) {
  const std::optional<std::string> text = text_of_file(path);
  std::int64_t number = 0;
  if (!text || !(std::istringstream(*text) >> number) || number <= 0) return std::nullopt;
  return number;
}

/// "QUOTA PERIOD" in microseconds, as version 2 writes it.
std::optional<std::int64_t> milli_cpu_of(const std::string& cpu_max) {
  std::int64_t quota = 0;
  std::int64_t period = 0;
  if (!(std::istringstream(cpu_max) >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return std::max<std::int64_t>(1, quota * 1000 / period);
}

void tighten(std::int64_t& value, std::optional<std::int64_t> limit) {
  if (limit) value = std::min(value, *limit);
}

/// The group of this process in version 2, from the line "0::/path".
std::string own_group() {
  std::istringstream lines(text_of_file("/proc/self/cgroup").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::")) return line.substr(3);
  }
  return "/";
}

}  // namespace

Resources within_control_group(Resources capacity, const std::string& root, const std::string& path) {
  for (std::string group = path;; group.resize(group.rfind('/'))) {
    const std::string directory = root + group;
    tighten(capacity.memory_bytes, number_in_file(directory + "/memory.max"));
    tighten(capacity.milli_cpu, milli_cpu_of(text_of_file(directory + "/cpu.max").value_or("")));
    if (group.empty() || group.rfind('/') == std::string::npos) break;
  }
  // Version 1, where a container sees its own group as the root.
  tighten(capacity.memory_bytes, number_in_file(root + "/memory/memory.limit_in_bytes"));
  const std::optional<std::int64_t> quota = number_in_file(root + "/cpu/cpu.cfs_quota_us");
  const std::optional<std::int64_t> period = number_in_file(root + "/cpu/cpu.cfs_period_us");
  if (quota && period) tighten(capacity.milli_cpu, std::max<std::int64_t>(1, *quota * 1000 / *period));
  return capacity;
}

Resources discover_capacity() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const bool known = ::sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
  const std::int64_t cores = known ? CPU_COUNT(&allowed) : ::sysconf(_SC_NPROCESSORS_ONLN);
  const std::int64_t memory = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  return within_control_group({std::max<std::int64_t>(1, cores) * 1000, memory, 0}, kControlGroups, own_group());
}

}  // namespace trainyard::agent
