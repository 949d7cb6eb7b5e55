#pragma once
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sched/cluster.h"
#include "sched/queue.h"
#include "sched/workload.h"

namespace trainyard::sched {

/// What a policy promises; the contract tests hold it to that.
struct PolicyPromise {
  std::optional<std::int64_t> overtakes_max;  ///< Later jobs of the order that may start before a waiting one; none: no promise.
  bool work_conserving = false;               ///< No job waits that fits while nothing is reserved or held for another.
};

/// One parameter of a policy.
struct ParameterInfo {
  std::string name;
  double fallback = 0;
  double least = 0;
  double most = 0;
  std::string meaning;
};

/// What every policy says about itself, for `--list-policies`, validation and the documents.
struct PolicyInfo {
  std::string name;
  std::string meaning;  ///< One sentence.
  std::string source;   ///< Where the rule comes from.
  std::vector<ParameterInfo> parameters;
  PolicyPromise promise;
};

/// What an order sees of the pass.
struct OrderView {
  const ClusterSnapshot& cluster;
  const QueueSnapshot& queue;
  QueueIndex index;  ///< The queue to be ordered.
  TimePoint now;
};

/// The jobs of one queue in the order in which they are looked at, one pass long.
class OrderPass {
 public:
  virtual ~OrderPass() = default;
  /// The next job; null at the end. The pointer is good for the pass.
  virtual const JobSnapshot* next() = 0;
  /// The job last returned starts with `tasks` tasks; shares have changed.
  virtual void started(std::int64_t tasks) { static_cast<void>(tasks); }
  /// The job last returned does not start. An order may leave out others because of that (DRF: the other jobs of its user).
  virtual void refused() {}
};

/// Which job of a queue is looked at next. Stateless; lives for ever. Thread-safe.
class OrderPolicy {
 public:
  virtual ~OrderPolicy() = default;
  virtual const PolicyInfo& info() const = 0;
  virtual std::unique_ptr<OrderPass> begin(const OrderView& view) const = 0;
};

/// The next job of one leaf of the queue tree that is still open in this pass.
struct QueueHead {
  QueueIndex queue = 0;
  const JobSnapshot* job = nullptr;
};

/// What a sharing policy sees of the pass.
struct ShareView {
  const ClusterSnapshot& cluster;
  const QueueSnapshot& queue;
  TimePoint now;
};

/// The order among queues, one pass long.
class SharePass {
 public:
  virtual ~SharePass() = default;
  /// Which of `heads` (not empty, ascending by queue) is looked at next: its index. A queue that is missing has no job left or is blocked.
  virtual std::size_t pick(std::span<const QueueHead> heads) = 0;
  /// `tasks` tasks of the job start: shares have changed.
  virtual void started(const JobSnapshot& job, std::int64_t tasks) = 0;
  /// The share of a queue as of now, and what it would be entitled to, for explanations. A fraction of the cluster.
  virtual double share(QueueIndex queue) const = 0;
};

/// How queues share the cluster. Stateless; lives for ever. Thread-safe.
class SharePolicy {
 public:
  virtual ~SharePolicy() = default;
  virtual const PolicyInfo& info() const = 0;
  virtual std::unique_ptr<SharePass> begin(const ShareView& view) const = 0;
};

/// What happens after a job that does not fit now.
enum class Reaction {
  kStop,       ///< Nothing of this queue after it.
  kBlockPool,  ///< Nothing after it that needs a resource it is short of.
  kReserve,    ///< It is promised its earliest start, and the queue goes on around that.
  kPass,       ///< The queue goes on; it is promised nothing.
};

struct BlockedJob {
  const JobSnapshot& job;
  std::int32_t reservations = 0;  ///< Made for jobs of this queue in this pass.
  const PolicyParameters& parameters;
};

/// How the queue goes on after a job that does not fit. Stateless; lives for ever. Thread-safe.
class BackfillPolicy {
 public:
  virtual ~BackfillPolicy() = default;
  virtual const PolicyInfo& info() const = 0;
  virtual Reaction after(const BlockedJob& blocked) const = 0;
  /// True when reservations are kept from pass to pass and only move earlier.
  virtual bool keeps_reservations() const { return false; }
  /// True for the textbook rule that counts nodes at the head's start instead of keeping concrete ones.
  virtual bool counts_only() const { return false; }
};

/// One node that could take a task of the job, for scoring.
struct Candidate {
  NodeIndex node = 0;
  const NodeState& state;
  const NodeFree& free;  ///< What the job may use there: the least over its whole window.
};

class PlacementPolicy;

/// What placement policies remember from job to job, such as scores of nodes that have not changed since. It never changes an answer, only
/// its cost. A copy starts empty. Not thread-safe.
class PlacementMemory {
 public:
  class Part {
   public:
    virtual ~Part() = default;
  };

  PlacementMemory() = default;
  PlacementMemory(const PlacementMemory&) {}
  PlacementMemory& operator=(const PlacementMemory&) { return *this; }
  PlacementMemory(PlacementMemory&&) = default;
  PlacementMemory& operator=(PlacementMemory&&) = default;
  ~PlacementMemory() = default;

  /// The part of one policy, which always asks for the same type; made when it is not there.
  template <typename T>
  T& part(const PlacementPolicy& policy) {
    std::unique_ptr<Part>& part = parts_[&policy];
    if (!part) part = std::make_unique<T>();
    return static_cast<T&>(*part);
  }

 private:
  std::map<const PlacementPolicy*, std::unique_ptr<Part>> parts_;
};

/// What a score may look at.
struct PlacementView {
  const ClusterSnapshot& cluster;
  const JobSnapshot& job;
  const PolicyParameters& parameters;
  std::uint64_t seed = 1;
  const Workload* workload = nullptr;  ///< What is usually submitted; null: nothing is known but the job.
  PlacementMemory* memory = nullptr;   ///< Null: nothing is remembered.
};

/// Scores nodes for one pass over one job.
class PlacementScorer {
 public:
  virtual ~PlacementScorer() = default;
  /// Higher is better; ties go to the lower node.
  virtual std::int64_t score(const Candidate& candidate) = 0;
  /// The device for a share of `gpu_milli` (< 1000) on the chosen node. Default: the fullest one that fits, lowest index. At least one
  /// fits.
  virtual std::size_t device(const Candidate& candidate, std::int32_t gpu_milli);
  /// True: a gang goes into the narrowest part of the topology that holds it, there into the part with the least room, and scores only
  /// decide between equal nodes.
  virtual bool keeps_together() const { return false; }
};

/// Which of the nodes that fit is best. Stateless; lives for ever. Thread-safe.
class PlacementPolicy {
 public:
  virtual ~PlacementPolicy() = default;
  virtual const PolicyInfo& info() const = 0;
  /// Null: the lowest nodes first, without scores.
  virtual std::unique_ptr<PlacementScorer> begin(const PlacementView& view) const = 0;
};

/// The tables of policies: policies/builtin.cpp lists each file once.
std::span<const OrderPolicy* const> order_policies();
std::span<const SharePolicy* const> share_policies();
std::span<const BackfillPolicy* const> backfill_policies();
std::span<const PlacementPolicy* const> placement_policies();

/// By name. Errors: NOT_FOUND "policy.unknown" with the nearest names.
Result<const OrderPolicy*> find_order_policy(std::string_view name);
Result<const SharePolicy*> find_share_policy(std::string_view name);
Result<const BackfillPolicy*> find_backfill_policy(std::string_view name);
Result<const PlacementPolicy*> find_placement_policy(std::string_view name);

/// The value of a parameter, or its fallback.
double parameter(const PolicyInfo& info, const PolicyParameters& given, std::string_view name);

}  // namespace trainyard::sched
