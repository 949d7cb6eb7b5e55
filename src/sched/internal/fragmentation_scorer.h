#pragma once
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "sched/internal/fragmentation.h"
#include "sched/policy.h"

namespace trainyard::sched {

/// Turns a change of fragmentation into a score.
class FragmentationRule {
 public:
  virtual ~FragmentationRule() = default;
  /// `before` and `after` are Fragmentation::of without and with one more task of `demand` on a node with `free` before it. Depends on the
  /// arguments and on key() only.
  struct Change {
    std::int64_t before = 0;
    std::int64_t after = 0;
    std::int64_t weight = 1;
    const NodeFree& free;
    const Demand& demand;
  };
  virtual std::int64_t score(const Change& change) const = 0;
  virtual Fragmentation::Use use() const = 0;
  /// Equal for rules that give equal scores.
  virtual std::vector<std::int64_t> key() const { return {}; }
};

/// Fragmentation and scores of nodes as long as these stay as they are: most do between two jobs.
class FragmentationMemory final : public PlacementMemory::Part {
 public:
  struct Score {
    std::uint64_t version = 0;  ///< Of the node, when it was taken; 0: never.
    std::int64_t score = 0;
    std::size_t device = 0;  ///< Where a share goes.
  };
  struct Node {
    std::uint64_t version = 0;
    NodeFree free;
    std::shared_ptr<const NodeInfo> info;  // shared: keeps the address from being used again
    const Fragmentation* fragmentation = nullptr;
    std::int64_t before = 0;  ///< fragmentation->of(free).
  };

  /// Forgets what was learnt with other typical tasks.
  void begin(const std::shared_ptr<const TypicalTasks>& typical, Fragmentation::Use use);  // shared: see Workload::typical
  /// The scores of one demand under one rule, by node.
  std::vector<Score>& scores(const Demand& demand, const FragmentationRule& rule, std::size_t nodes);
  /// What is known of the node, as it is now.
  const Node& node(const Candidate& candidate);

 private:
  static constexpr std::size_t kDemandsMax = 128;
  using Key = std::tuple<std::int64_t, std::int32_t, std::int32_t, std::vector<std::int64_t>>;
  const Fragmentation& of_model(const std::string& gpu_model);

  std::shared_ptr<const TypicalTasks> typical_;  // shared: see Workload::typical
  Fragmentation::Use use_ = Fragmentation::Use::kFitting;
  std::uint64_t last_version_ = 0;
  std::map<std::string, Fragmentation> by_model_;
  std::vector<Node> nodes_;
  std::map<Key, std::vector<Score>> scores_;
};

/// Scores by how much one more task raises a node's fragmentation. A share tries every device. Without a workload the job stands for it.
class FragmentationScorer final : public PlacementScorer {
 public:
  FragmentationScorer(const PlacementPolicy& policy, const PlacementView& view, std::unique_ptr<const FragmentationRule> rule);
  std::int64_t score(const Candidate& candidate) override { return judged(candidate).score; }
  std::size_t device(const Candidate& candidate, std::int32_t gpu_milli) override;

 private:
  const FragmentationMemory::Score& judged(const Candidate& candidate);
  void judge(const FragmentationMemory::Node& node, FragmentationMemory::Score& score) const;

  const Demand& demand_;
  std::unique_ptr<const FragmentationRule> rule_;
  std::unique_ptr<FragmentationMemory> own_memory_;
  FragmentationMemory& memory_;
  std::vector<FragmentationMemory::Score>* scores_;
};

}  // namespace trainyard::sched
