#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "apps/warden/control_socket.h"
#include "apps/warden/event_loop.h"
#include "apps/warden/rank_process.h"
#include "exec/process_groups.h"

namespace trainyard::warden {

struct WardenSettings {
  std::string data_dir;            ///< Absolute.
  std::string program_dir;         ///< First in PATH of every rank.
  Duration grace{30'000'000};      ///< For all ranks when the warden itself is told to leave; a rank's own may be shorter.
  Duration grown_delay{10'000};    ///< News of output wait this long for more.
  Duration idle_exit{60'000'000};  ///< Without ranks and peers it leaves after this time.
  std::uint64_t spool_max = std::uint64_t{1} << 30;  ///< See SpoolBudget.
  bool control_groups = true;                        ///< False: the limits of processes only.
  LimitRoots limit_roots;
  bool zygotes = true;  ///< False: every rank is a program of its own from the start.
  RankSettings rank;
};

/// Parent of every rank of a node: carries out the requests of docs/formats/warden.md and tells subscribers what happened. All state but
/// the running processes is in the spool, so that a new warden knows what the old one knew. Single-threaded.
class Warden {
 public:
  struct Deps {
    EventLoop& loop;
    const Clock& clock;
  };

  /// Kills what an earlier warden left, reads the spool and opens the socket. The caller holds the lock of the run directory.
  static Result<std::unique_ptr<Warden>> make(WardenSettings settings, Deps deps);
  Warden(const Warden&) = delete;
  Warden& operator=(const Warden&) = delete;

  /// Stops every rank with at most `grace`, then ends the loop.
  void shutdown(Duration grace);
  /// A child has ended: collects those that are no ranks.
  void on_child_signal();

 private:
  using Ranks = std::map<RankKey, std::unique_ptr<RankProcess>>;

  Warden(WardenSettings settings, Deps deps, exec::GroupRegistry groups, Spares spares, LaunchSlots slots);
  Result<void> recover();
  Result<void> recover_ended(const RankKey& rank);
  Result<void> record_lost(const exec::StartRecord& started);
  void remove_unused_workdirs();
  RankProcess& add_rank(const RankKey& rank);

  void on_message(ConnectionId connection, const Document& request);
  Result<Document> handle(ConnectionId connection, const Document& request);
  Document state_of_all() const;
  Result<Document> prepare(const Document& request);
  Result<Document> start(const Document& request);
  Result<Document> stop(const Document& request);
  Result<Document> forget(const RankKey& rank);
  /// `wrote`: it may have output files. The exit record goes last: if this is cut short, the next warden still knows that the rank has
  /// ended.
  void remove_files(const RankKey& rank, bool wrote);

  void on_rank_changed(const RankKey& rank);
  void tell_changed();
  void on_rank_grown(const RankKey& rank);
  void push(std::string_view frames);
  void sweep_strays();
  bool runs(std::string_view marker) const;
  bool may_be_of_a_running_rank(pid_t process) const;
  bool any_running() const;
  void leave_when_done();
  void leave_when_idle();

  WardenSettings settings_;
  Deps deps_;
  EnvironmentBase environment_;
  exec::GroupRegistry groups_;
  Spares spares_;
  LaunchSlots slots_;
  std::unique_ptr<Limiter> limiter_;
  SpoolBudget spool_;
  std::optional<Zygotes> zygotes_;  ///< Always, once it is made.
  Ranks ranks_;
  std::set<ConnectionId> subscribers_;
  std::set<RankKey> changed_;  ///< To be told at the end of this round, so that many changes are one write.
  TimerId changed_timer_;
  std::set<RankKey> grown_;
  TimerId grown_timer_;
  TimerId idle_timer_;
  TimerId sweep_timer_;
  bool shutting_down_ = false;
  std::unique_ptr<ControlSocket> socket_;  ///< Last: gone before the state its callbacks use.
};

}  // namespace trainyard::warden
