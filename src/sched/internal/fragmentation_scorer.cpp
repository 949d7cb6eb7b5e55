#include "sched/internal/fragmentation_scorer.h"

#include "sched/internal/devices.h"

namespace trainyard::sched {
namespace {

std::shared_ptr<const TypicalTasks> typical_of(const PlacementView& view) {  // shared: see Workload::typical
  if (view.workload != nullptr && !view.workload->typical()->empty()) return view.workload->typical();
  Workload alone;
  alone.add(view.job);
  return alone.typical();
}

}  // namespace

void FragmentationMemory::begin(const std::shared_ptr<const TypicalTasks>& typical, Fragmentation::Use use) {  // shared: as declared
  if (typical_ == typical && use_ == use) return;
  typical_ = typical;
  use_ = use;
  by_model_.clear();
  nodes_.clear();
  scores_.clear();
}

std::vector<FragmentationMemory::Score>& FragmentationMemory::scores(const Demand& demand, const FragmentationRule& rule,
                                                                     std::size_t nodes) {
  Key key{demand.amounts[kCpu], demand.gpus, demand.gpu_milli, rule.key()};
  if (scores_.size() == kDemandsMax && !scores_.contains(key)) scores_.clear();
  std::vector<Score>& scores = scores_[std::move(key)];
  scores.resize(nodes);
  nodes_.resize(nodes);
  return scores;
}

const Fragmentation& FragmentationMemory::of_model(const std::string& gpu_model) {
  const auto found = by_model_.find(gpu_model);
  if (found != by_model_.end()) return found->second;
  return by_model_.emplace(gpu_model, Fragmentation(*typical_, gpu_model, use_)).first->second;
}

const FragmentationMemory::Node& FragmentationMemory::node(const Candidate& candidate) {
  Node& node = nodes_[candidate.node];
  const bool same_info = node.info == candidate.state.info;
  if (same_info && node.free == candidate.free) return node;
  if (!same_info) {
    node.info = candidate.state.info;
    node.fragmentation = &of_model(node.info->gpu_model);
  }
  node.free = candidate.free;
  node.before = node.fragmentation->of(node.free);
  node.version = ++last_version_;
  return node;
}

FragmentationScorer::FragmentationScorer(const PlacementPolicy& policy, const PlacementView& view,
                                         std::unique_ptr<const FragmentationRule> rule)
    : demand_(view.job.demand),
      rule_(std::move(rule)),
      own_memory_(view.memory == nullptr ? std::make_unique<FragmentationMemory>() : nullptr),
      memory_(view.memory == nullptr ? *own_memory_ : view.memory->part<FragmentationMemory>(policy)) {
  memory_.begin(typical_of(view), rule_->use());
  scores_ = &memory_.scores(demand_, *rule_, view.cluster.nodes().size());
}

const FragmentationMemory::Score& FragmentationScorer::judged(const Candidate& candidate) {
  const FragmentationMemory::Node& node = memory_.node(candidate);
  FragmentationMemory::Score& score = (*scores_)[candidate.node];
  if (score.version != node.version) {
    judge(node, score);
    score.version = node.version;
  }
  return score;
}

void FragmentationScorer::judge(const FragmentationMemory::Node& node, FragmentationMemory::Score& score) const {
  const auto fragmentation_with = [&](DeviceMask devices) {
    NodeFree after = node.free;
    after.take(demand_, 1, devices);
    return node.fragmentation->of(after);
  };
  std::int64_t least = 0;
  if (is_share(demand_)) {
    DeviceMask tried = 0;
    for (DeviceMask left = node.free.devices_with(demand_.gpu_milli); left != 0; left = static_cast<DeviceMask>(left & (left - 1))) {
      const auto device = static_cast<std::size_t>(std::countr_zero(left));
      const auto equal = [&](std::size_t other) { return node.free.device_milli[other] == node.free.device_milli[device]; };
      bool known = false;
      for (std::size_t other = 0; other < device && !known; ++other) known = (tried >> other & 1) != 0 && equal(other);
      if (known) continue;
      const std::int64_t after = fragmentation_with(static_cast<DeviceMask>(1U << device));
      if (tried == 0 || after < least) {
        least = after;
        score.device = device;
      }
      tried = static_cast<DeviceMask>(tried | 1U << device);
    }
  } else {
    least = fragmentation_with(lowest_devices(node.free.devices_with(demand_.gpu_milli), static_cast<std::uint32_t>(demand_.gpus)));
  }
  score.score = rule_->score({node.before, least, node.fragmentation->weight(), node.free, demand_});
}

std::size_t FragmentationScorer::device(const Candidate& candidate, std::int32_t gpu_milli) {
  const std::size_t device = judged(candidate).device;
  CHECK(candidate.free.device_milli[device] >= gpu_milli, "a score was remembered for another state of the node");
  return device;
}

}  // namespace trainyard::sched
