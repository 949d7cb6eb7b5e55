#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/resources.h"

namespace trainyard::warden {

/// Where control groups are looked for; tests give directories of their own.
struct LimitRoots {
  std::string cgroup = "/sys/fs/cgroup";
  std::string proc = "/proc";
};

/// What the child does to itself between fork and exec.
struct ChildLimits {
  std::array<int, 2> groups{-1, -1};  ///< Descriptors of cgroup.procs files, open as long as the RankLimits: it writes itself into each.
  std::int64_t data_max = 0;          ///< RLIMIT_DATA in bytes where there is no group, or it cannot be entered; 0: none.
};

/// What holds one rank to its resources, from before its first instruction until nothing of it is left.
class RankLimits {
 public:
  virtual ~RankLimits() = default;
  /// "cgroup2", "cgroup1" or "rlimit".
  virtual std::string_view name() const = 0;
  virtual ChildLimits child() const = 0;
  /// Whether `oom_kills` counts: else the caller has to guess.
  virtual bool sees_oom() const { return false; }
  /// Processes of the rank that the kernel ended for want of memory, its own limit's or the machine's.
  virtual std::uint64_t oom_kills() const { return 0; }
  /// The rank has lived for a moment: what is too dear for one that ends at once is set now.
  virtual void on_long_lived() {}
  /// Whether `kill_all` finds everybody.
  virtual bool sees_members() const { return false; }
  /// SIGKILL to all that belongs to the rank, whatever group or session it moved to. True when nobody was left.
  virtual bool kill_all() { return true; }
};

/// Holds ranks to their resources with the strongest means the machine allows. Single-threaded; outlives its RankLimits.
class Limiter {
 public:
  virtual ~Limiter() = default;
  virtual std::string_view name() const = 0;
  /// Never fails: a rank for which no group can be made has the limits of a process.
  virtual std::unique_ptr<RankLimits> limit(const Resources& resources) = 0;
};

/// Tries control groups of version 2, then of version 1, each by making a group, setting its limits and moving a child into it; else the
/// limits of processes. `reasons` gets a sentence for each that was not taken. `data_dir` names the groups, so that the next warden of the
/// directory finds and removes what this one leaves.
std::unique_ptr<Limiter> make_limiter(const LimitRoots& roots, const std::string& data_dir, std::vector<std::string>& reasons);
/// No limits but those of processes.
std::unique_ptr<Limiter> make_process_limiter();

/// For a child between fork and exec: system calls only. Moves it into a group; false when that is not allowed.
bool enter_group(int procs);

/// RLIMIT_DATA for a request of so much memory. It counts what a process may write, touched or not (thread stacks, spare heap), so it is
/// generous: a fence against a runaway, not a share. 0 for a request of nothing.
std::int64_t data_limit(std::int64_t memory_bytes);

}  // namespace trainyard::warden
