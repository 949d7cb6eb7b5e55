#pragma once
#include <vector>

#include "sched/internal/eviction_rules.h"
#include "sched/internal/freed_room.h"

namespace trainyard::sched {

/// A running job that could give way, and what it gives up so far.
struct Victim {
  const RunningJob* running = nullptr;
  Standing standing;
  std::int64_t cost = 0;   ///< Of its leaving.
  bool may_leave = false;  ///< False: it can only give up spare tasks, or stands here to explain a refusal.
  std::int64_t spare = 0;  ///< Tasks of a gang beyond its least size.

  bool leaves = false;
  std::int64_t dropped = 0;
  std::vector<std::uint32_t> dropped_at;  ///< Of each place, from its end. Empty when there is nothing to spare.
  std::size_t giving_at = 0;              ///< Position + 1 among those that give something; 0: it gives nothing.
};

/// One step of a draft: the victim leaves, or drops a task at a place.
struct Move {
  static constexpr std::uint32_t kLeave = 0xffffffff;
  std::uint32_t victim = 0;
  std::uint32_t place = kLeave;
};

/// What a draft takes, to come back to it.
struct EvictionChoice {
  std::int64_t cost = 0;
  std::size_t leaving = 0;
  std::vector<Move> moves;

  /// Less is lost: work first, then jobs, then tasks.
  bool better_than(const EvictionChoice& other) const;
};

/// Running jobs that could give way to one preemptor, and the room, quota and shares as they are when some of them do.
class EvictionDraft {
 public:
  struct Ask {
    const JobSnapshot& job;
    std::int64_t tasks = 1;
    TimePoint to;  ///< It needs its room from now until then.
  };
  /// `victims` in the order in which they should give way. Those whose queues use no more than their own are left out.
  EvictionDraft(const PreemptionView& view, const Ask& ask, std::vector<Victim> victims);

  const std::vector<Victim>& victims() const { return victims_; }
  EvictionRules& rules() { return rules_; }
  FreedRoom& room() { return room_; }

  void apply(const Move& move);
  void undo(const Move& move);
  /// Everybody stays as it is.
  void clear();
  EvictionChoice save() const;
  void load(const EvictionChoice& choice);

  bool has_room(DomainIndex domain) const { return room_.total(domain) >= tasks_; }
  std::int64_t short_of(DomainIndex domain) const { return tasks_ - room_.total(domain); }
  std::optional<QuotaBook::Refusal> quota_refusal() const { return rules_.quota_refusal(); }
  bool whole(DomainIndex domain) const { return has_room(domain) && !quota_refusal(); }
  bool permitted() const;
  /// False: no further moves make it permitted.
  bool could_become_permitted() const;
  /// False: the victim may not leave in any choice.
  bool permits_alone(std::uint32_t victim);
  bool raises_potential() const { return rules_.raises_potential(losses()); }
  std::size_t leaving_count() const { return leaving_; }

  /// Where victims hold room that the preemptor could use, ascending by node, then by victim.
  struct Holding {
    NodeIndex node = 0;
    std::uint32_t victim = 0;
    std::uint32_t place = 0;
  };
  const std::vector<Holding>& holdings() const { return holdings_; }
  /// No more slots than these become free when the tasks of that place go.
  std::int64_t slots_bound(const Victim& victim, const TaskPlace& place) const;
  /// What a shrunk gang keeps.
  static Placement kept(const Victim& victim);

 private:
  Loss loss_of(const Victim& victim) const;
  std::vector<Loss> losses() const;
  void note(std::uint32_t victim);
  TimePoint held_until(const Victim& victim) const;

  const TimePoint now_;
  const Demand& demand_;
  const std::int64_t tasks_;
  std::vector<Victim> victims_;
  EvictionRules rules_;
  FreedRoom room_;
  std::vector<Holding> holdings_;
  std::vector<std::uint32_t> giving_;  ///< Victims that leave or drop something.
  bool more_helps_ = true;             ///< Taking more may make permitted what is not: it lowers the use of the preemptor's side.
  std::size_t leaving_ = 0;
};

}  // namespace trainyard::sched
