#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "domain/ids.h"
#include "domain/resources.h"

namespace trainyard::sched {

/// One node as the planner sees it: what it has and what running and starting ranks hold.
struct NodeSnapshot {
  NodeName name;
  Resources capacity;
  Resources used;
  bool ready = true;
};

struct ClusterSnapshot {
  std::vector<NodeSnapshot> nodes;
};

/// A job that waits. Order in the queue is (queued_at, id).
struct PendingJob {
  JobId id;
  Resources request;  ///< Of one task.
  std::int64_t tasks = 1;
  TimePoint eligible_at;  ///< Not before this time: backoff.
  TimePoint queued_at;    ///< Kept over requeues.
};

struct QueueSnapshot {
  std::vector<PendingJob> pending;
};

/// Rank i of the job starts on nodes[i].
struct Start {
  JobId job;
  std::vector<NodeName> nodes;
};

/// Why a job stays where it is, in one sentence with numbers.
struct WaitReason {
  JobId job;
  std::string code;  ///< "Backoff", "NoNodes", "WaitingForResources", "ImpossibleResources", "BehindInQueue".
  std::string text;
};

struct Decisions {
  std::vector<Start> starts;
  std::vector<WaitReason> waits;
  std::optional<TimePoint> wake_at;  ///< When a backoff ends next.
};

/// Strict first-in-first-out with gangs: starts from the head, all ranks of a job or none, and stops at the first job that does not fit.
/// Ranks go to the node with the least free CPU that still fits, ties by node name. Pure: equal arguments give equal decisions.
Decisions plan(const ClusterSnapshot& cluster, const QueueSnapshot& queue, TimePoint now);

/// True when the job could run on an empty cluster of these capacities. A cluster without nodes accepts everything.
bool could_ever_fit(const ClusterSnapshot& cluster, const Resources& request, std::int64_t tasks);

}  // namespace trainyard::sched
