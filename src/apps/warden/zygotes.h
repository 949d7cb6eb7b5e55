#pragma once
#include <sys/types.h>

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apps/warden/event_loop.h"
#include "apps/warden/limits.h"
#include "apps/warden/rank_output.h"
#include "apps/warden/spawn.h"
#include "exec/zygote_protocol.h"

namespace trainyard::warden {

struct ZygoteSettings {
  std::string program_dir;                               ///< Empty: there are no zygotes.
  std::vector<std::string> programs{"trainyard-train"};  ///< That can be zygotes; others load faster than they are forked.
  std::string boot_id;                                   ///< Of the warden: the marker by which its successor finds them.
  Duration start_delay{2'000'000};                       ///< After the launch that shows the want of one, which it is not to hinder.
  Duration load_patience{30'000'000};
  Duration reply_patience{250'000};
  Duration idle_end{600'000'000};
  Duration blame{600'000'000};  ///< A kind that failed twice in a row is not tried again for so long.
  std::size_t zygotes_max = 2;
  std::uint64_t memory_min = std::uint64_t{1} << 30;  ///< With less of it available none is started.
};

/// Processes of job programs that are loaded and wait, so that a rank costs a fork instead of a load. A zygote serves launches of the same
/// program file with the same words and the same environment but for what names the rank; it is started after a launch that found none. It
/// is a convenience: whatever goes wrong with one, it is killed, and the launch is an ordinary one. Single-threaded.
class Zygotes {
 public:
  struct Deps {
    EventLoop& loop;
    const Clock& clock;
  };
  struct Start {
    const std::vector<std::string>& argv;
    const std::map<std::string, std::string>& environment;
    const std::string& workdir;
    const RankOutput::WriteEnds& ends;
    const ChildLimits& limits;
  };

  /// The process must be the reaper of orphans (PR_SET_CHILD_SUBREAPER).
  Zygotes(ZygoteSettings settings, Deps deps) : settings_(std::move(settings)), deps_(deps) {}
  /// Kills and collects them.
  ~Zygotes();
  Zygotes(const Zygotes&) = delete;
  Zygotes& operator=(const Zygotes&) = delete;

  /// A rank that runs as one that spawn_rank started would. None when there is no zygote for it, and then nothing of it runs or ever will:
  /// the caller spawns it. Waits at most `reply_patience`.
  std::optional<SpawnedRank> launch(const Start& start);
  /// Whether this child is a zygote, or was one and is not collected yet: nobody else is to wait for it or kill it.
  bool owns(pid_t child) const;

 private:
  /// Which file of a program it is.
  struct ProgramFile {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t changed_ns = 0;
    bool operator==(const ProgramFile&) const = default;
  };
  /// What all ranks of a zygote have in common.
  struct Kind {
    std::string program;  ///< argv[0]
    ProgramFile file;
    std::map<std::string, std::string> environment;
    bool operator==(const Kind&) const = default;
  };
  enum class State { kLoading, kReady, kEnding };
  struct Zygote {
    Kind kind;
    State state = State::kLoading;
    pid_t pid = 0;
    int rank_nice = 0;  ///< The priority of its ranks.
    int own_nice = 0;   ///< Its own once it is ready: that of the warden, so that a launch does not wait behind ranks.
    UniqueFd socket;
    UniqueFd pidfd;
    WatchId socket_watch;
    WatchId exit_watch;
    MonotonicPoint used_at;  ///< Or started.
  };
  struct Failures {
    Kind kind;
    int count = 0;
    MonotonicPoint last;
  };

  static std::optional<ProgramFile> file_at(const std::string& path);
  std::optional<Kind> kind_of(const Start& start) const;
  Zygote* find(const Kind& kind);
  std::optional<SpawnedRank> fork_rank(Zygote& zygote, const std::string& request, const Start& start);
  void want(const Kind& kind);
  void start_wanted();
  Result<void> start(const Kind& kind);
  void make_room();
  void on_readable(Zygote& zygote);
  void on_exit(Zygote& zygote);
  /// Kills it; it is collected when it has ended.
  void end(Zygote& zygote);
  void fail(Zygote& zygote, std::string_view reason);
  bool blamed(const Kind& kind) const;
  void look_around();
  void look_later();

  ZygoteSettings settings_;
  Deps deps_;
  std::list<Zygote> zygotes_;  ///< At most zygotes_max that do not end.
  std::vector<Failures> failures_;
  std::optional<Kind> wanted_;
  TimerId wanted_timer_;
  TimerId look_timer_;
};

}  // namespace trainyard::warden
