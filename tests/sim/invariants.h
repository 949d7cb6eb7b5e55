#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/history.h"

namespace trainyard::sim_test {

/// One of each.
std::vector<std::unique_ptr<Invariant>> all_invariants(const Clock& clock);

/// A submit that was answered is in the ledger from then on, and one key names one job for ever.
class NoAcknowledgedJobLost final : public Invariant {
 public:
  std::string_view name() const override { return "NoAcknowledgedJobLost"; }
  void see(const Happening& happening) override;

 private:
  std::set<JobId> durable_;
  std::map<std::string, JobId> answered_;
};

/// A cancel that was answered stands: the job is ending or has ended, and is not launched again.
class AcknowledgedCancelHolds final : public Invariant {
 public:
  std::string_view name() const override { return "AcknowledgedCancelHolds"; }
  void see(const Happening& happening) override;

 private:
  std::map<JobId, jobs::Job> durable_;
  std::set<JobId> cancelled_;
};

/// What a client was shown is never undone by a crash: attempts and states only go on from there.
class NothingShownIsUndone final : public Invariant {
 public:
  std::string_view name() const override { return "NothingShownIsUndone"; }
  void see(const Happening& happening) override;

 private:
  std::map<JobId, jobs::Job> durable_;
};

/// A job ends once; nothing about it changes or is told afterwards.
class OneTerminalState final : public Invariant {
 public:
  std::string_view name() const override { return "OneTerminalState"; }
  void see(const Happening& happening) override;

 private:
  std::map<JobId, std::string> ended_;  ///< The record that ended it.
  std::set<JobId> ended_by_event_;
};

/// The events of a job walk along the edges of the state machine, and its record agrees with its last event.
class LegalTransitions final : public Invariant {
 public:
  std::string_view name() const override { return "LegalTransitions"; }
  void see(const Happening& happening) override;

 private:
  void see_event(const store::EventRecord& event);
  std::map<JobId, JobState> state_;
  std::set<JobId> like_an_array_;  ///< Whose change is legal if it is one, as its record will tell.
};

/// Attempts count up by one with each launch; a rank starts only once its launch is durable, never after a later attempt of its job, and
/// once in all.
class TokensGrow final : public Invariant {
 public:
  std::string_view name() const override { return "TokensGrow"; }
  void see(const Happening& happening) override;

 private:
  void see_start(const RankStarted& start);
  std::map<JobId, std::int64_t> launched_;
  std::map<JobId, std::uint32_t> started_;
  std::set<RankKey> ran_;
};

/// A gang is placed whole, and succeeds only when every rank of one attempt ended well.
class GangAtomic final : public Invariant {
 public:
  std::string_view name() const override { return "GangAtomic"; }
  void see(const Happening& happening) override;

 private:
  std::map<RankKey, int> codes_;
};

/// Without faults, the rest of a gang ends soon after one of its ranks failed.
class FailedGangIsReleased final : public Invariant {
 public:
  explicit FailedGangIsReleased(const Clock& clock) : clock_(clock) {}
  std::string_view name() const override { return "FailedGangIsReleased"; }
  void see(const Happening& happening) override;

 private:
  struct Gang {
    std::set<RankKey> running;
    std::set<RankKey> failed;
    MonotonicPoint release_by;
  };
  void check_deadlines();
  const Clock& clock_;
  bool healed_ = false;
  std::map<AttemptKey, Gang> gangs_;
};

/// Without faults, no attempt lives long past its limit; and no cause restarts a batch job more often than its budget allows.
class LimitsAndBudgetsHold final : public Invariant {
 public:
  explicit LimitsAndBudgetsHold(const Clock& clock) : clock_(clock) {}
  std::string_view name() const override { return "LimitsAndBudgetsHold"; }
  void see(const Happening& happening) override;

 private:
  struct Attempt {
    AttemptNumber number;
    MonotonicPoint overdue;
  };
  void see_job(const jobs::Job& job);
  const Clock& clock_;
  std::optional<MonotonicPoint> checked_from_;  ///< Well after the faults stopped.
  std::map<JobId, Attempt> limited_;
};

/// Neither what the ledger books nor what really runs on a node is more than the node has.
class NoDoubleBooking final : public Invariant {
 public:
  std::string_view name() const override { return "NoDoubleBooking"; }
  void see(const Happening& happening) override;

 private:
  void book(const jobs::Job& job);
  void check_bookings();
  std::map<NodeName, Resources> capacity_;
  std::map<JobId, std::map<NodeName, Resources>> booked_;
  std::map<NodeName, std::map<RankKey, Resources>> running_;
};

/// Durable events are numbered 1, 2, 3 ...; a subscriber hears each event of one life of the server once, in order and once it is durable.
class EventNumbersGapless final : public Invariant {
 public:
  std::string_view name() const override { return "EventNumbersGapless"; }
  void see(const Happening& happening) override;

 private:
  std::uint64_t durable_ = 0;
  std::uint64_t newest_ = 0;                          ///< Life of the server.
  std::map<std::uint64_t, std::uint64_t> published_;  ///< By life.
};

/// Lines of an attempt, of its log too, are taken only while it is the newest; each event once, in order, and what was acknowledged is
/// durable.
class NothingPublishedByStaleAttempt final : public Invariant {
 public:
  std::string_view name() const override { return "NothingPublishedByStaleAttempt"; }
  void see(const Happening& happening) override;

 private:
  void see_event(const store::EventRecord& event);
  std::map<JobId, std::int64_t> newest_;
  std::map<std::string, std::uint64_t> lines_;  ///< Durable lines by rank.
};

/// Every line of a rank's log is kept once and in order, is kept before it is acknowledged, and is shown to a follower once and in order.
class LogLinesOnceAndInOrder final : public Invariant {
 public:
  std::string_view name() const override { return "LogLinesOnceAndInOrder"; }
  void see(const Happening& happening) override;

 private:
  void see_line(std::map<RankKey, std::uint64_t>& lines, const RankKey& rank, const std::string& line);
  std::map<RankKey, std::uint64_t> durable_;
  std::map<RankKey, std::uint64_t> ends_;
  std::map<RankKey, std::uint64_t> shown_;
};

/// When the end of a rank is durable, so is all that it ever wrote: log and events. Unless nobody saw its end.
class EndedRanksHaveTheirOutput final : public Invariant {
 public:
  std::string_view name() const override { return "EndedRanksHaveTheirOutput"; }
  void see(const Happening& happening) override;

 private:
  struct Output {
    std::uint64_t log_lines = 0;
    std::uint64_t event_lines = 0;
  };
  void see_job(const jobs::Job& job);
  std::map<RankKey, Output> written_;
  std::map<RankKey, std::uint64_t> kept_;
};

/// A rank that runs is stopped only for a reason that is durable: an intent, a failed gang, a newer attempt or an end of its job.
class HealthyRanksAreLeftAlone final : public Invariant {
 public:
  std::string_view name() const override { return "HealthyRanksAreLeftAlone"; }
  void see(const Happening& happening) override;

 private:
  std::map<JobId, jobs::Job> durable_;
};

/// A rank that runs is given up only when its node was in trouble: deaths of server and agent cost no rank.
class OnlyTroubledNodesLoseRanks final : public Invariant {
 public:
  explicit OnlyTroubledNodesLoseRanks(const Clock& clock) : clock_(clock) {}
  std::string_view name() const override { return "OnlyTroubledNodesLoseRanks"; }
  void see(const Happening& happening) override;

 private:
  void see_job(const jobs::Job& job);
  const Clock& clock_;
  std::set<RankKey> running_;
  std::set<RankKey> told_;
  std::map<NodeName, MonotonicPoint> trouble_;
};

/// A job fails, and is charged a restart as its own, only when a rank of it ended by itself: never for what befell its node or for a stop.
class RestartsHaveCauses final : public Invariant {
 public:
  std::string_view name() const override { return "RestartsHaveCauses"; }
  void see(const Happening& happening) override;

 private:
  std::map<JobId, std::set<AttemptNumber>> own_ends_;
  std::map<JobId, std::set<AttemptNumber>> own_failures_;
};

/// Once faults stop, every job comes to an end and no process is left behind.
class EveryJobEndsOnceFaultsStop final : public Invariant {
 public:
  std::string_view name() const override { return "EveryJobEndsOnceFaultsStop"; }
  void see(const Happening& happening) override;

 private:
  std::map<JobId, JobState> state_;
  std::set<RankKey> running_;
};

/// Whatever a part of the run itself calls broken.
class NothingBroken final : public Invariant {
 public:
  std::string_view name() const override { return "NothingBroken"; }
  void see(const Happening& happening) override;
};

}  // namespace trainyard::sim_test
