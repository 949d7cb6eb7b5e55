#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "sched/job.h"
#include "sched/job_index.h"

namespace trainyard::sched {

/// What a node is; changes seldom.
struct NodeInfo {
  NodeName name;
  Amounts capacity;  ///< capacity[kGpu] / 1000 devices, at most kDevicesMax.
  std::string gpu_model;
  std::string pool = "default";
  std::map<std::string, std::string> labels;
  std::set<std::string> taints;
  std::string rack;            ///< Empty: unknown, a rack of its own.
  std::string switch_name;     ///< Within the rack.
  bool capacity_known = true;  ///< False: it has not called in yet, and may have anything. It must not be ready then.

  bool operator==(const NodeInfo&) const = default;
};

/// A node and what is free on it.
struct NodeState {
  std::shared_ptr<const NodeInfo> info;  // shared: immutable, so that forks of a snapshot are cheap
  NodeFree free;
  bool ready = true;     ///< Its lease holds.
  bool drained = false;  ///< Runs what it has and takes nothing new.
  bool gone = false;     ///< Removed; the index stays.

  bool usable() const { return ready && !drained && !gone; }
};

/// How many tasks of one shape fit where, kept up to date as jobs come and go.
struct ShapeFit {
  Demand demand;
  ConstraintsPtr constraints;
  NodeSet allowed;                   ///< Constraints hold, whatever is free or down.
  NodeSet fitting;                   ///< Nodes with slots > 0.
  std::vector<std::uint32_t> slots;  ///< By node: tasks that fit now.
  std::int64_t total = 0;            ///< Sum of slots.
  std::int64_t total_empty = 0;      ///< Sum of slots if every allowed node were empty, up or not.
  std::uint64_t users = 0;           ///< Live jobs of this shape; 0: the entry may be reused.
};

/// Nodes, running jobs and what is free: a value that the planner reads, kept up to date by its owner one event at a time.
/// Copying it forks it. Not thread-safe.
class ClusterSnapshot {
 public:
  // --- nodes
  /// Errors: INVALID_ARGUMENT "cluster.too_many_devices", FAILED_PRECONDITION "cluster.node_exists".
  Result<NodeIndex> add_node(NodeInfo info);
  /// A node that came back with another capacity or other labels; what runs there stays.
  void replace_node(NodeIndex node, NodeInfo info);
  /// Running jobs of it must have ended.
  void remove_node(NodeIndex node);
  void set_ready(NodeIndex node, bool ready);
  void set_drained(NodeIndex node, bool drained);
  std::optional<NodeIndex> find_node(const NodeName& name) const;
  const std::vector<NodeState>& nodes() const { return nodes_; }
  const NodeState& node(NodeIndex index) const { return nodes_[index]; }
  /// Of all nodes that were not removed, up or not.
  const Amounts& capacity() const { return capacity_; }
  const Amounts& used() const { return used_; }
  /// Names of the kinds from kExtended on. Index of a name, given one if it is new. Errors: FAILED_PRECONDITION "cluster.resource_kinds".
  Result<std::size_t> resource_kind(const std::string& name);
  const std::vector<std::string>& resource_names() const { return resource_names_; }
  /// "cpu", "memory", "gpu" or the extended name.
  std::string kind_name(std::size_t kind) const;

  // --- shapes
  /// The shape of a job, counted once more. Every pending job of a plan has one.
  ShapeId intern(const Demand& demand, const ConstraintsPtr& constraints);
  /// One live job of the shape less.
  void release_shape(ShapeId shape);
  const ShapeFit& shape(ShapeId id) const { return shapes_[id]; }
  /// Shapes of live jobs, in no order that means anything.
  const std::vector<ShapeId>& live_shapes() const { return live_shapes_; }

  // --- running jobs
  /// Takes the room of a job that starts. The room must be there (CHECK).
  void start(RunningJob job);
  /// Gives the room back; returns the job. It must be running (CHECK).
  RunningJob end(JobId id);
  /// Gives back or takes the difference, for elastic gangs.
  void resize(JobId id, Placement nodes);
  const RunningJob* find(JobId id) const;
  /// To change what does not touch room or limit_end: checkpoints, stopping, estimates.
  RunningJob* find_mutable(JobId id);
  /// Changes limit_end (an overrun, a longer limit).
  void set_limit_end(JobId id, TimePoint limit_end);
  /// Running jobs whose size may change, ascending.
  const std::vector<JobId>& elastic() const { return elastic_; }
  std::size_t running_count() const { return by_end_.size(); }
  /// Visits running jobs by limit_end, ties by id, until `visit` returns false.
  template <typename Visit>
  void each_by_end(Visit visit) const {
    for (const EndKey& key : by_end_) {
      if (!visit(running_[key.slot])) return;
    }
  }

  /// CHECKs that for every node and resource allocated + free = capacity. For tests and simulations: O(all).
  void check_invariants() const;

 private:
  struct EndKey {
    TimePoint end;
    JobId id;
    std::uint32_t slot = 0;
    auto operator<=>(const EndKey&) const = default;
  };
  void refresh(NodeIndex node);
  void refresh(NodeIndex node, ShapeFit& shape);
  void judge(NodeIndex node, ShapeFit& shape);
  void fill(ShapeFit& shape);
  void insert_end(const EndKey& key);
  void erase_end(const EndKey& key);
  void take(const RunningJob& job);
  void give(const RunningJob& job);

  std::vector<NodeState> nodes_;
  std::map<NodeName, NodeIndex> by_name_;
  std::vector<std::string> resource_names_;
  std::vector<ShapeFit> shapes_;
  std::vector<ShapeId> live_shapes_;
  std::vector<RunningJob> running_;  ///< Slots; those of ended jobs are used again.
  std::vector<std::uint32_t> unused_slots_;
  JobIndex slot_of_;
  std::vector<EndKey> by_end_;  ///< Sorted.
  std::vector<JobId> elastic_;  ///< Sorted.
  Amounts capacity_;
  Amounts used_;
};

/// Whether a node's labels, taints, pool and GPU model let a job of these constraints run there.
bool allows(const NodeInfo& node, const Constraints& constraints);

}  // namespace trainyard::sched
