#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/checksum.h"
#include "base/time.h"
#include "exec/execution_backend.h"
#include "jobs/job.h"
#include "store/job_ledger.h"

namespace trainyard::sim_test {

// What can be seen of the control plane from outside.

/// A client's submit was answered.
struct SubmitAcknowledged {
  std::string key;
  JobId job;
};
struct CancelAcknowledged {
  JobId job;
};
struct HoldAcknowledged {
  JobId job;
};
struct PriorityAcknowledged {
  JobId job;
  std::int64_t priority = 0;
};
/// What an operator wants of a node is durable and known to the server.
struct NodeOrdered {
  NodeName node;
  exec::NodeState state = exec::NodeState::kReady;
};
/// A client read the job.
struct JobShown {
  jobs::Job job;
};
/// The ledger has this record for good.
struct JobDurable {
  jobs::Job job;
};
struct EventDurable {
  store::EventRecord event;
};
/// Everything of one batch was told.
struct BatchDurable {
  std::uint64_t life = 0;  ///< Of the server that wrote it.
};
/// A subscriber heard the event.
struct EventPublished {
  store::EventRecord event;
  std::uint64_t life = 0;  ///< Of the server that told it.
};
/// An agent was told that so many event lines of this rank are kept.
struct LinesAcknowledged {
  RankKey rank;
  std::uint64_t count = 0;
};
struct NodeJoined {
  NodeName node;
  Resources capacity;
};
/// A node has made a rank ready to start.
struct RankPrepared {
  RankKey rank;
};
/// A process began to run.
struct RankStarted {
  RankKey rank;
  NodeName node;
  Resources resources;
};
enum class EndedBy { kItself, kStop, kNode };
/// A process is gone; `code` as its warden would report it.
struct RankEnded {
  RankKey rank;
  NodeName node;
  int code = 0;
  EndedBy by = EndedBy::kItself;
};
/// A warden was told to stop a rank that runs.
struct StopReached {
  RankKey rank;
};
/// Something befell a node that may cost it its ranks: its warden or host died, or it was cut off.
struct NodeTroubled {
  NodeName node;
};
/// A process wrote output: its lines so far.
struct OutputWritten {
  RankKey rank;
  std::uint64_t log_lines = 0;
  std::uint64_t event_lines = 0;
};
/// A line of a rank's log can not be lost any more; the log then ends at `end`.
struct LogDurable {
  RankKey rank;
  std::string line;
  std::uint64_t end = 0;
};
/// An agent was told that the log is kept up to `end`.
struct LogAcknowledged {
  RankKey rank;
  std::uint64_t end = 0;
};
/// Somebody who follows the log was shown this line.
struct LogShown {
  RankKey rank;
  std::string line;
};
struct ServerStarted {
  EventNumber last_event;  ///< As the ledger had it.
  std::uint64_t life = 0;
};
struct ServerKilled {
  std::string where;
};
/// Something that must never happen at all, whoever notices it.
struct Broken {
  std::string what;
};
/// Faults stopped just now: every host is back and every message arrives.
struct Healed {};
/// Faults stopped long ago and everything had time to settle.
struct Finished {};

using Happening = std::variant<SubmitAcknowledged, CancelAcknowledged, HoldAcknowledged, PriorityAcknowledged, NodeOrdered, JobShown,
                               JobDurable, EventDurable, BatchDurable, EventPublished, LinesAcknowledged, NodeJoined, RankPrepared,
                               RankStarted, RankEnded, StopReached, NodeTroubled, OutputWritten, LogDurable, LogAcknowledged, LogShown,
                               ServerStarted, ServerKilled, Broken, Healed, Finished>;

/// One line about it.
std::string text_of(const Happening& happening);
/// "7.2/0": job 7, attempt 2, rank 0.
std::string text_of(const RankKey& rank);

/// For std::visit over the happenings that one cares about.
template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

/// A promise of the control plane, checked from what happens.
class Invariant {
 public:
  virtual ~Invariant() = default;
  virtual std::string_view name() const = 0;
  virtual void see(const Happening& happening) = 0;

  std::vector<std::string> take_violations() { return std::exchange(violations_, {}); }

 protected:
  void violated(std::string what) { violations_.push_back(std::move(what)); }

 private:
  std::vector<std::string> violations_;
};

/// Tells every happening to every invariant and hashes the trace: equal runs have equal hashes.
class History {
 public:
  History(std::uint64_t seed, const Clock& clock, std::vector<std::unique_ptr<Invariant>> invariants);

  void tell(const Happening& happening);
  /// Adds to the trace what no invariant watches: faults, messages.
  void note(std::string_view line);

  /// "seed 17 at 12.345678s: TokensGrow: ..." for each breach.
  const std::vector<std::string>& violations() const { return violations_; }
  /// The last happenings before the first breach, oldest first.
  const std::vector<std::string>& tail() const { return tail_; }
  std::string trace_hash() { return trace_.finish_hex(); }

 private:
  std::string time_text() const;

  const std::uint64_t seed_;
  const Clock& clock_;
  const MonotonicPoint origin_;
  const bool print_;
  std::vector<std::unique_ptr<Invariant>> invariants_;
  std::vector<std::string> violations_;
  std::deque<std::string> recent_;
  std::vector<std::string> tail_;
  Xxh3 trace_;
};

}  // namespace trainyard::sim_test
