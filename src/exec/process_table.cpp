#include "exec/process_table.h"

#include <fmt/format.h>
#include <poll.h>
extern "C" {  // glibc 2.36 forgets it.
#include <sys/pidfd.h>
}
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <csignal>

#include "base/file.h"

namespace trainyard::exec {
namespace {

constexpr std::size_t kProcFileMax = std::size_t{4} << 20;

template <typename Number>
std::optional<Number> number_in(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

Result<std::string> read_proc(pid_t pid, std::string_view file) { return read_file(fmt::format("/proc/{}/{}", pid, file), kProcFileMax); }

struct Doomed {
  ProcessStat process;
  UniqueFd pidfd;
};

/// Waits until every pidfd has become readable, which means that its process has ended, or the deadline.
void await_ends(std::vector<Doomed>& doomed, MonotonicPoint deadline, const Clock& clock) {
  while (!doomed.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.monotonic_now());
    if (left.count() <= 0) return;
    pollfd ready{doomed.back().pidfd.get(), POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(left.count())) > 0) doomed.pop_back();
  }
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  const std::size_t name_end = text.rfind(')');
  const std::size_t pid_end = text.find(' ');
  if (name_end == std::string_view::npos || pid_end == std::string_view::npos) return std::nullopt;
  const std::vector<std::string_view> fields = split(text.substr(name_end + 1), ' ');
  constexpr std::size_t kStartTicks = 19;  // Field 22 of proc(5), counted from the state.
  if (fields.size() <= kStartTicks) return std::nullopt;

  const auto pid = number_in<pid_t>(text.substr(0, pid_end));
  const auto parent = number_in<pid_t>(fields[1]);
  const auto group = number_in<pid_t>(fields[2]);
  const auto session = number_in<pid_t>(fields[3]);
  const auto start = number_in<std::uint64_t>(fields[kStartTicks]);
  if (!pid || !parent || !group || !session || !start) return std::nullopt;
  return ProcessStat{.pid = *pid,
                     .parent = *parent,
                     .group = *group,
                     .session = *session,
                     .start_ticks = *start,
                     .zombie = fields[0] == "Z" || fields[0] == "X"};
}

std::optional<ProcessStat> process_stat(pid_t pid) {
  const Result<std::string> text = read_proc(pid, "stat");
  return text.ok() ? parse_process_stat(*text) : std::nullopt;
}

std::vector<ProcessStat> list_processes() {
  std::vector<ProcessStat> processes;
  const Result<std::vector<std::string>> names = list_directory("/proc");
  if (!names.ok()) return processes;
  for (const std::string& name : *names) {
    const auto pid = number_in<pid_t>(name);
    if (!pid) continue;
    if (const auto stat = process_stat(*pid)) processes.push_back(*stat);
  }
  return processes;
}

std::vector<pid_t> own_children() {
  std::vector<pid_t> children;
  const Result<std::string> text = read_file(fmt::format("/proc/self/task/{}/children", ::gettid()), kProcFileMax);
  if (text.ok()) {
    for (const std::string_view word : split(*text, ' ')) {
      if (const auto pid = number_in<pid_t>(word)) children.push_back(*pid);
    }
    return children;
  }
  // Kernels without that file: look at everyone's parent.
  for (const ProcessStat& process : list_processes()) {
    if (process.parent == ::getpid()) children.push_back(process.pid);
  }
  return children;
}

bool environment_has(pid_t pid, std::string_view prefix) {
  const Result<std::string> text = read_proc(pid, "environ");
  if (!text.ok()) return false;
  const std::vector<std::string_view> variables = split(*text, '\0');
  return std::any_of(variables.begin(), variables.end(), [prefix](std::string_view entry) { return entry.starts_with(prefix); });
}

std::optional<std::string> environment_value(pid_t pid, std::string_view name) {
  const Result<std::string> text = read_proc(pid, "environ");
  if (!text.ok()) return std::nullopt;
  for (const std::string_view variable : split(*text, '\0')) {
    if (variable.size() > name.size() && variable[name.size()] == '=' && variable.starts_with(name)) {
      return std::string(variable.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

bool catches_signal(pid_t pid, int signal) {
  const Result<std::string> status = read_proc(pid, "status");
  if (!status.ok()) return false;
  constexpr std::string_view kField = "SigCgt:";
  const std::size_t at = status->find(kField);
  if (at == std::string::npos) return false;
  std::string_view digits = std::string_view(*status).substr(at + kField.size());
  digits = digits.substr(0, digits.find('\n'));
  digits.remove_prefix(std::min(digits.find_first_not_of(" \t"), digits.size()));
  const auto mask = number_in<std::uint64_t>(digits, 16);
  return mask && (*mask >> (signal - 1) & 1) != 0;
}

std::size_t kill_processes(const std::vector<ProcessStat>& processes, Duration patience, const Clock& clock) {
  std::vector<Doomed> doomed;
  for (const ProcessStat& process : processes) {
    if (process.zombie) continue;
    UniqueFd pidfd(::pidfd_open(process.pid, 0));
    if (!pidfd.valid()) continue;
    // The descriptor holds on to one process; looking again tells whether it is still the one that was meant.
    const auto now = process_stat(process.pid);
    if (!now || now->start_ticks != process.start_ticks || now->zombie) continue;
    ::pidfd_send_signal(pidfd.get(), SIGKILL, nullptr, 0);
    doomed.push_back({process, std::move(pidfd)});
  }
  await_ends(doomed, clock.monotonic_now() + patience, clock);
  return doomed.size();
}

}  // namespace trainyard::exec
