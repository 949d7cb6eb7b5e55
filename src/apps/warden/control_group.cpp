#include "apps/warden/control_group.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "base/file.h"

namespace trainyard::warden {
namespace {

constexpr std::size_t kFileMax = std::size_t{1} << 20;

/// Takes a line off the text; empty at its end.
std::string_view next_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

template <typename Number>
Number number_in(std::string_view text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::vector<pid_t> members_of(const std::string& path) {
  std::vector<pid_t> members;
  const Result<std::string> text = read_file(path + "/cgroup.procs", kFileMax);
  if (!text.ok()) return members;
  std::string_view rest = *text;
  for (std::string_view line = next_line(rest); !line.empty(); line = next_line(rest)) {
    const pid_t pid = number_in<pid_t>(line);
    if (pid > 0) members.push_back(pid);  // 0 is a process that this one cannot see.
  }
  return members;
}

}  // namespace

Result<ControlGroup> ControlGroup::make(std::string path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return system_error(errno, "mkdir", path);
  ASSIGN_OR_RETURN(UniqueFd procs, open_file(path + "/cgroup.procs", O_WRONLY | O_CREAT));
  return ControlGroup(std::move(path), std::move(procs));
}

Result<void> ControlGroup::set(std::string_view file, std::string_view value) const {
  const std::string name = path_ + "/" + std::string(file);
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(name, O_WRONLY | O_CREAT | O_TRUNC));
  return write_all(fd.get(), value, name);
}

std::uint64_t ControlGroup::counter(std::string_view file, std::string_view name) const {
  if (!counters_.valid()) {
    Result<UniqueFd> opened = open_file(path_ + "/" + std::string(file), O_RDONLY);
    if (!opened.ok()) return 0;
    counters_ = std::move(opened).value();
  }
  std::array<char, 4096> text;
  const ssize_t got = ::pread(counters_.get(), text.data(), text.size(), 0);
  std::string_view rest(text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  for (std::string_view line = next_line(rest); !line.empty(); line = next_line(rest)) {
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ' ') {
      return number_in<std::uint64_t>(line.substr(name.size() + 1));
    }
  }
  return 0;
}

std::vector<pid_t> ControlGroup::members() const { return members_of(path_); }

Result<void> ControlGroup::add(pid_t process) const { return set("cgroup.procs", std::to_string(process)); }

bool ControlGroup::remove() { return ::rmdir(path_.c_str()) == 0 || errno == ENOENT; }

std::optional<std::string> own_group(std::string_view proc_self_cgroup, std::string_view controller) {
  for (std::string_view line = next_line(proc_self_cgroup); !line.empty(); line = next_line(proc_self_cgroup)) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
    const bool version2 = names == ",," && line.starts_with("0:");
    if (controller.empty() ? version2 : names.find("," + std::string(controller) + ",") != std::string::npos)
      return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

void remove_groups_below(const std::string& path, bool kill) {
  struct stat info {};
  for (const std::string& name : list_directory(path).value_or({})) {
    const std::string group = path + "/" + name;
    if (::lstat(group.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) continue;
    if (kill) {
      for (const pid_t member : members_of(group)) ::kill(member, SIGKILL);
    }
    (void)::rmdir(group.c_str());
  }
  (void)::rmdir(path.c_str());
}

}  // namespace trainyard::warden
