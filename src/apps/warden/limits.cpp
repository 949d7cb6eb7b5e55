#include "apps/warden/limits.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <map>
#include <optional>
#include <utility>

#include "apps/warden/control_group.h"
#include "base/checksum.h"
#include "base/file.h"
#include "exec/process_table.h"

namespace trainyard::warden {
namespace {

/// Rounds of "kill whoever is there": those that are killed may have forked meanwhile.
constexpr int kKillRounds = 100;
/// Empty groups that are kept for the next ranks.
constexpr std::size_t kFreeSlotsMax = 64;
/// Processes and threads of one rank, beside more for each core it asked for: more is a fork bomb.
constexpr std::int64_t kPidsBase = 8192;

std::int64_t pids_max(const Resources& resources) { return kPidsBase + resources.milli_cpu; }

/// Version 2: 1 to 10000, where 100 is the default: 100 for one core.
std::int64_t cpu_weight(const Resources& resources) { return std::clamp<std::int64_t>(resources.milli_cpu / 10, 1, 10'000); }
/// Version 1: from 2, 1024 for one core.
std::int64_t cpu_shares(const Resources& resources) { return std::clamp<std::int64_t>(resources.milli_cpu * 1024 / 1000, 2, 262'144); }

class ProcessLimits final : public RankLimits {
 public:
  explicit ProcessLimits(const Resources& resources) : data_max_(data_limit(resources.memory_bytes)) {}
  std::string_view name() const override { return "rlimit"; }
  ChildLimits child() const override { return {.data_max = data_max_}; }

 private:
  std::int64_t data_max_;
};

class ProcessLimiter final : public Limiter {
 public:
  std::string_view name() const override { return "rlimit"; }
  std::unique_ptr<RankLimits> limit(const Resources& resources) override { return std::make_unique<ProcessLimits>(resources); }
};

/// The groups of one rank. Groups are kept and used again, since making and removing them costs more than a short program.
struct Slot {
  std::vector<ControlGroup> groups;           ///< The first one limits memory, tells the members and counts kills.
  std::map<std::string, std::string> values;  ///< By path: what was written last.
  std::optional<std::string> late_group;      ///< Version 1, cpu: entered by those that live for a moment.
  std::uint64_t oom_kills = 0;                ///< As counted when the last rank ended.
};

/// What differs between the versions.
struct Hierarchy {
  std::string_view name;
  std::vector<std::string> bases;  ///< Directories that hold the groups of the slots, the one with memory first.
  std::string cpu_base;            ///< Version 1: of the cpu hierarchy; empty: none.
  bool version2 = false;
  std::string_view oom_file;
};

/// Writes a limit unless the slot has it already.
Result<void> set_limit(Slot& slot, const ControlGroup& group, const std::string& file, const std::string& value) {
  std::string& known = slot.values[group.path() + "/" + file];
  if (known == value) return {};
  TRY(group.set(file, value));
  known = value;
  return {};
}

class GroupLimiter;

class GroupLimits final : public RankLimits {
 public:
  GroupLimits(GroupLimiter& owner, Slot slot, const Resources& resources);
  ~GroupLimits() override;
  std::string_view name() const override;
  ChildLimits child() const override;
  bool sees_oom() const override { return true; }
  bool sees_members() const override { return true; }
  std::uint64_t oom_kills() const override { return counted() - slot_.oom_kills; }
  void on_long_lived() override;
  bool kill_all() override;

 private:
  std::uint64_t counted() const;

  GroupLimiter& owner_;
  Slot slot_;
  Resources resources_;
  bool empty_ = false;  ///< Nobody was left when it was last looked at.
};

class GroupLimiter final : public Limiter {
 public:
  explicit GroupLimiter(Hierarchy hierarchy) : hierarchy_(std::move(hierarchy)) {}
  ~GroupLimiter() override {
    for (const std::string& base : hierarchy_.bases) remove_groups_below(base, true);
    if (!hierarchy_.cpu_base.empty()) remove_groups_below(hierarchy_.cpu_base, true);
  }

  std::string_view name() const override { return hierarchy_.name; }
  const Hierarchy& hierarchy() const { return hierarchy_; }

  std::unique_ptr<RankLimits> limit(const Resources& resources) override {
    Result<Slot> slot = take_slot();
    if (slot.ok()) {
      if (const Result<void> limited = set_limits(*slot, resources); limited.ok()) {
        return std::make_unique<GroupLimits>(*this, std::move(slot).value(), resources);
      }
    }
    return std::make_unique<ProcessLimits>(resources);
  }

  /// An empty slot is used again; one that still holds somebody waits for their end.
  void give_back(Slot slot, bool empty) {
    empty = empty || slot.groups.front().members().empty();
    if (empty && free_.size() >= kFreeSlotsMax) {
      remove(slot);
    } else {
      (empty ? free_ : busy_).push_back(std::move(slot));
    }
  }

 private:
  static void remove(Slot& slot) {
    for (ControlGroup& group : slot.groups) (void)group.remove();
    if (slot.late_group) (void)::rmdir(slot.late_group->c_str());
  }

  Result<Slot> take_slot() {
    for (std::size_t index = 0; index < busy_.size();) {
      if (busy_[index].groups.front().members().empty()) {
        free_.push_back(std::move(busy_[index]));
        busy_.erase(busy_.begin() + static_cast<std::ptrdiff_t>(index));
      } else {
        ++index;
      }
    }
    if (!free_.empty()) {
      Slot slot = std::move(free_.back());
      free_.pop_back();
      return slot;
    }
    const std::string name = fmt::format("/rank-{}", ++last_slot_);
    Slot slot;
    for (const std::string& base : hierarchy_.bases) {
      ASSIGN_OR_RETURN(ControlGroup group, ControlGroup::make(base + name));
      slot.groups.push_back(std::move(group));
    }
    if (!hierarchy_.cpu_base.empty()) slot.late_group = hierarchy_.cpu_base + name;
    return slot;
  }

  Result<void> set_limits(Slot& slot, const Resources& resources) const {
    const std::string memory = std::to_string(resources.memory_bytes);
    const std::string pids = std::to_string(pids_max(resources));
    const ControlGroup& first = slot.groups.front();
    if (!hierarchy_.version2) {
      TRY(set_limit(slot, first, "memory.limit_in_bytes", resources.memory_bytes > 0 ? memory : "-1"));
      if (slot.groups.size() > 1) TRY(set_limit(slot, slot.groups[1], "pids.max", pids));
      return {};
    }
    TRY(set_limit(slot, first, "memory.max", resources.memory_bytes > 0 ? memory : "max"));
    // One process less than a program has is a program that hangs: all of it goes.
    (void)set_limit(slot, first, "memory.oom.group", "1");
    (void)set_limit(slot, first, "pids.max", pids);
    (void)set_limit(slot, first, "cpu.weight", std::to_string(cpu_weight(resources)));
    return {};
  }

  Hierarchy hierarchy_;
  std::vector<Slot> free_;
  std::vector<Slot> busy_;
  std::uint64_t last_slot_ = 0;
};

GroupLimits::GroupLimits(GroupLimiter& owner, Slot slot, const Resources& resources)
    : owner_(owner), slot_(std::move(slot)), resources_(resources) {}

GroupLimits::~GroupLimits() {
  slot_.oom_kills = counted();  // Somebody may have been ended since the rank was asked.
  owner_.give_back(std::move(slot_), empty_);
}

std::string_view GroupLimits::name() const { return owner_.name(); }

std::uint64_t GroupLimits::counted() const { return slot_.groups.front().counter(owner_.hierarchy().oom_file, "oom_kill"); }

ChildLimits GroupLimits::child() const {
  ChildLimits child;
  for (std::size_t index = 0; index < slot_.groups.size(); ++index) child.groups.at(index) = slot_.groups[index].procs();
  child.data_max = data_limit(resources_.memory_bytes);
  return child;
}

void GroupLimits::on_long_lived() {
  if (!slot_.late_group) return;
  const Result<ControlGroup> group = ControlGroup::make(*slot_.late_group);
  if (!group.ok() || !set_limit(slot_, *group, "cpu.shares", std::to_string(cpu_shares(resources_))).ok()) return;
  for (const pid_t member : slot_.groups.front().members()) (void)group->add(member);
}

bool GroupLimits::kill_all() {
  const ControlGroup& group = slot_.groups.front();
  std::vector<pid_t> members = group.members();
  empty_ = members.empty();
  if (empty_) return true;
  if (owner_.hierarchy().version2 && group.set("cgroup.kill", "1").ok()) return false;
  for (int round = 0; round < kKillRounds && !members.empty(); ++round) {
    for (const pid_t member : members) ::kill(member, SIGKILL);
    members = group.members();
  }
  return false;
}

/// Whose groups these are: "trainyard-DIRECTORY-PID-TICKS", where the directory is a hash and ticks are the start of the warden.
struct BaseName {
  std::string directory;
  pid_t warden = 0;
  std::uint64_t start_ticks = 0;
  std::string text() const { return fmt::format("trainyard-{}-{}-{}", directory, warden, start_ticks); }
};

std::optional<BaseName> base_name_in(std::string_view text) {
  constexpr std::string_view kPrefix = "trainyard-";
  const std::size_t pid = text.find('-', kPrefix.size());
  const std::size_t ticks = pid == std::string_view::npos ? pid : text.find('-', pid + 1);
  if (!text.starts_with(kPrefix) || ticks == std::string_view::npos) return std::nullopt;
  BaseName name;
  name.directory = text.substr(kPrefix.size(), pid - kPrefix.size());
  const char* const end = text.data() + text.size();
  const bool read = std::from_chars(text.data() + pid + 1, end, name.warden).ec == std::errc() &&
                    std::from_chars(text.data() + ticks + 1, end, name.start_ticks).ec == std::errc();
  return read ? std::optional(name) : std::nullopt;
}

/// Removes what dead wardens left. Members are killed only where the directory is ours: others may be seen from elsewhere.
void remove_leftovers(const std::string& parent, const BaseName& own) {
  for (const std::string& entry : list_directory(parent).value_or({})) {
    const std::optional<BaseName> name = base_name_in(entry);
    if (!name) continue;
    const std::optional<exec::ProcessStat> warden = exec::process_stat(name->warden);
    if (warden && warden->start_ticks == name->start_ticks) continue;
    remove_groups_below(parent + "/" + entry, name->directory == own.directory);
  }
}

/// The groups of this warden below the group it lives in itself; below the top of the tree where that cannot be seen.
Result<std::string> make_base(const std::string& tree, const std::string& own, const BaseName& name) {
  const std::string parent = own == "/" || !file_exists(tree + own) ? tree : tree + own;
  remove_leftovers(parent, name);
  ASSIGN_OR_RETURN(const ControlGroup group, ControlGroup::make(parent + "/" + name.text()));
  return group.path();
}

/// Moves a child into the groups and looks whether that was allowed.
Result<void> try_child(const ChildLimits& limits) {
  const pid_t child = ::fork();
  if (child < 0) return system_error(errno, "fork", "");
  if (child == 0) {
    for (const int group : limits.groups) {
      if (group >= 0 && !enter_group(group)) ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return {};
  return Error{Category::kPermissionDenied, "limits.attach", "a process cannot be moved into a new control group", {}, {}};
}

Result<std::unique_ptr<Limiter>> probed(Hierarchy hierarchy) {
  auto limiter = std::make_unique<GroupLimiter>(std::move(hierarchy));
  const std::unique_ptr<RankLimits> limits = limiter->limit({1000, std::int64_t{64} << 20, 0});
  if (limits->name() != limiter->name()) return failed_precondition("limits.group", "no group can be made or its limits cannot be set");
  TRY(try_child(limits->child()));
  return std::unique_ptr<Limiter>(std::move(limiter));
}

/// Processes in a group keep its children from having controllers. Our own may move aside; others are left alone.
Result<void> move_aside(const std::string& parent, const LimitRoots& roots) {
  ASSIGN_OR_RETURN(const std::string text, read_file(parent + "/cgroup.procs", std::size_t{1} << 20));
  ASSIGN_OR_RETURN(const ControlGroup aside, ControlGroup::make(parent + "/trainyard-control"));
  std::vector<pid_t> members;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string pid = text.substr(at, end - at);
    const std::string command = read_file(fmt::format("{}/{}/comm", roots.proc, pid), 4096).value_or("");
    if (!command.starts_with("trainyard-")) {
      return failed_precondition("limits.shared", "other programs live in the control group of this one: " + parent);
    }
    members.push_back(static_cast<pid_t>(std::strtol(pid.c_str(), nullptr, 10)));
    at = end + 1;
  }
  for (const pid_t member : members) TRY(aside.add(member));
  return {};
}

Result<void> enable_controllers(const std::string& path) {
  const std::string file = path + "/cgroup.subtree_control";
  const auto enable = [&](std::string_view controller) -> Result<void> {
    ASSIGN_OR_RETURN(const UniqueFd fd, open_file(file, O_WRONLY | O_CREAT | O_APPEND));
    return write_all(fd.get(), controller, file);
  };
  TRY(enable("+memory"));
  (void)enable("+pids");
  (void)enable("+cpu");
  return {};
}

Result<std::unique_ptr<Limiter>> make_version2(const LimitRoots& roots, const std::string& own_groups, const BaseName& name) {
  if (!file_exists(roots.cgroup + "/cgroup.controllers")) {
    return failed_precondition("limits.none", "no control groups of version 2 are mounted at " + roots.cgroup);
  }
  const std::string own = own_group(own_groups, "").value_or("/");
  const std::string parent = own == "/" || !file_exists(roots.cgroup + own) ? roots.cgroup : roots.cgroup + own;
  if (!enable_controllers(parent).ok()) {
    TRY(move_aside(parent, roots));
    TRY(enable_controllers(parent));
  }
  Hierarchy hierarchy{.name = "cgroup2", .bases = {}, .cpu_base = {}, .version2 = true, .oom_file = "memory.events"};
  ASSIGN_OR_RETURN(std::string base, make_base(roots.cgroup, own, name));
  TRY(enable_controllers(base));
  hierarchy.bases.push_back(std::move(base));
  return probed(std::move(hierarchy));
}

Result<std::unique_ptr<Limiter>> make_version1(const LimitRoots& roots, const std::string& own_groups, const BaseName& name) {
  const auto base_in = [&](std::string_view controller) -> Result<std::string> {
    const std::string tree = fmt::format("{}/{}", roots.cgroup, controller);
    if (!file_exists(tree)) return failed_precondition("limits.none", "no control groups of version 1 are mounted at " + tree);
    return make_base(tree, own_group(own_groups, controller).value_or("/"), name);
  };
  Hierarchy hierarchy{.name = "cgroup1", .bases = {}, .cpu_base = {}, .version2 = false, .oom_file = "memory.oom_control"};
  ASSIGN_OR_RETURN(std::string memory, base_in("memory"));
  hierarchy.bases.push_back(std::move(memory));
  if (Result<std::string> pids = base_in("pids"); pids.ok()) hierarchy.bases.push_back(std::move(pids).value());
  if (Result<std::string> cpu = base_in("cpu"); cpu.ok()) hierarchy.cpu_base = std::move(cpu).value();
  return probed(std::move(hierarchy));
}

}  // namespace

std::int64_t data_limit(std::int64_t memory_bytes) {
  constexpr std::int64_t kSpare = std::int64_t{1} << 30;
  return memory_bytes <= 0 ? 0 : 2 * std::min(memory_bytes, std::int64_t{1} << 60) + kSpare;
}

bool enter_group(int procs) { return ::pwrite(procs, "0", 1, 0) == 1; }

std::unique_ptr<Limiter> make_process_limiter() { return std::make_unique<ProcessLimiter>(); }

std::unique_ptr<Limiter> make_limiter(const LimitRoots& roots, const std::string& data_dir, std::vector<std::string>& reasons) {
  const std::string own_groups = read_file(roots.proc + "/self/cgroup", 64 * 1024).value_or("");
  BaseName name{.directory = fmt::format("{:08x}", crc32c(as_bytes(data_dir))), .warden = ::getpid()};
  if (const auto own = exec::process_stat(name.warden)) name.start_ticks = own->start_ticks;
  for (const auto make : {&make_version2, &make_version1}) {
    Result<std::unique_ptr<Limiter>> limiter = make(roots, own_groups, name);
    if (limiter.ok()) return std::move(limiter).value();
    reasons.push_back(limiter.error().describe());
  }
  return make_process_limiter();
}

}  // namespace trainyard::warden
