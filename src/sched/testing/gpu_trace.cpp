#include "sched/testing/gpu_trace.h"

#include <algorithm>
#include <map>

#include "sched/internal/fragmentation.h"
#include "sched/placement.h"

namespace trainyard::sched::testing {
namespace {

template <typename T>
void shuffle(std::vector<T>& items, Rng& rng) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.below(i)]);
}

std::int64_t total_gpu(const std::vector<GpuTask>& tasks) {
  std::int64_t total = 0;
  for (const GpuTask& task : tasks) total += task.demand.amounts[kGpu];
  return total;
}

std::vector<GpuTask> arrivals(const GpuTrace& trace, std::int64_t capacity, Rng& rng) {
  std::vector<GpuTask> tasks = trace.tasks;
  shuffle(tasks, rng);
  for (std::int64_t asked = total_gpu(tasks);;) {
    const GpuTask& again = trace.tasks[rng.below(trace.tasks.size())];
    asked += again.demand.amounts[kGpu];
    if (asked * 10 > capacity * 13) return tasks;
    tasks.push_back(again);
  }
}

/// The cluster as it fills up.
class Fill {
 public:
  Fill(const GpuTrace& trace, const PlacementPolicy& policy, std::uint64_t seed) : policy_(policy), seed_(seed), rng_(seed) {
    std::vector<NodeInfo> nodes = trace.nodes;
    shuffle(nodes, rng_);
    for (NodeInfo& node : nodes) CHECK(cluster_.add_node(std::move(node)).ok(), "nodes of the trace are not distinct");
    for (const GpuTask& task : trace.tasks) workload_.add(job_of(task));
    workload_.refresh();
    for (NodeIndex node = 0; node < cluster_.nodes().size(); ++node) {
      const std::string& model = cluster_.node(node).info->gpu_model;
      const Fragmentation measure(*workload_.typical(), model, Fragmentation::Use::kFitting);
      fragmentation_.push_back(&by_model_.emplace(model, measure).first->second);
      fragmented_.push_back(fragmented_on(node));
    }
    tasks_ = arrivals(trace, cluster_.capacity()[kGpu], rng_);
  }

  FillFigures run() {
    const std::int64_t capacity = cluster_.capacity()[kGpu];
    FillFigures figures;
    std::int64_t asked = 0;
    std::int64_t samples = 0;
    for (const GpuTask& task : tasks_) {
      asked += task.demand.amounts[kGpu];
      if (asked * 1000 >= capacity * 1005) break;
      place_one(task);
      ++figures.decisions;
      if (asked * 1000 < capacity * 995) continue;
      ++samples;
      figures.allocated += 100 * static_cast<double>(cluster_.used()[kGpu]) / static_cast<double>(capacity);
      figures.fragmented += 100 * fragmented() / static_cast<double>(capacity);
    }
    CHECK(samples > 0, "the trace does not ask for all GPUs");
    figures.allocated /= static_cast<double>(samples);
    figures.fragmented /= static_cast<double>(samples);
    return figures;
  }

 private:
  JobSnapshot job_of(const GpuTask& task) {
    JobSnapshot job;
    job.id = JobId(++last_id_);
    job.seq = last_id_;
    job.demand = task.demand;
    job.constraints = task.constraints;
    job.shape = cluster_.intern(job.demand, job.constraints);
    return job;
  }

  double fragmented_on(NodeIndex node) const {
    return static_cast<double>(fragmentation_[node]->of(cluster_.node(node).free)) / static_cast<double>(fragmentation_[node]->weight());
  }

  double fragmented() const {
    double sum = 0;
    for (const double node : fragmented_) sum += node;
    return sum;
  }

  void place_one(const GpuTask& task) {
    RunningJob running;
    running.job = job_of(task);
    const auto scorer = policy_.begin({cluster_, running.job, parameters_, seed_, &workload_, &memory_});
    const auto availability = make_node_availability(cluster_, TimePoint{});
    std::optional<Placement> nodes = place(cluster_, *availability, {running.job, 1, TimePoint{}, kNever}, scorer.get());
    if (!nodes) return;
    const NodeIndex node = nodes->front().node;
    running.nodes = std::move(*nodes);
    cluster_.start(std::move(running));
    fragmented_[node] = fragmented_on(node);
  }

  const PlacementPolicy& policy_;
  const std::uint64_t seed_;
  SeededRng rng_;
  const PolicyParameters parameters_;
  ClusterSnapshot cluster_;
  Workload workload_;
  PlacementMemory memory_;
  std::uint64_t last_id_ = 0;
  std::map<std::string, Fragmentation> by_model_;
  std::vector<const Fragmentation*> fragmentation_;  ///< By node.
  std::vector<double> fragmented_;                   ///< By node, thousandths of a device.
  std::vector<GpuTask> tasks_;
};

std::int64_t pick(std::initializer_list<std::int64_t> values, Rng& rng) {
  return *(values.begin() + static_cast<std::ptrdiff_t>(rng.below(values.size())));
}

NodeInfo generated_node(std::size_t number, Rng& rng) {
  const std::uint64_t draw = rng.below(100);
  std::int64_t cores = 96;
  std::int64_t gpus = 8;
  if (draw < 32) {
    cores = 104;
    gpus = 2;
  } else if (draw < 50) {
    cores = pick({8, 16, 32, 64}, rng);
    gpus = cores < 16 ? 1 : pick({2, 4}, rng);
  }
  NodeInfo node{.name = {"node" + std::to_string(number)}};
  node.capacity[kCpu] = cores * 1000;
  node.capacity[kMemory] = cores << 32;
  node.capacity[kGpu] = gpus * 1000;
  return node;
}

GpuTask generated_task(Rng& rng) {
  GpuTask task;
  const std::uint64_t draw = rng.below(1000);
  if (draw < 130) {
    task.demand.amounts[kCpu] = pick({8'000, 12'500, 15'500, 32'000}, rng);
  } else if (draw < 510) {
    const std::int64_t milli = pick({810, 810, 810, 470, 470, 650, 320, 590, 230, 160}, rng);
    task.demand.ask_gpus(1, static_cast<std::int32_t>(milli));
    task.demand.amounts[kCpu] = milli == 810 ? 3'150 : pick({4'000, 8'000, 11'900}, rng);
  } else if (draw < 985) {
    task.demand.ask_gpus(1);
    task.demand.amounts[kCpu] = pick({3'150, 11'300, 11'400, 11'300, 12'000, 18'700, 8'000, 15'700}, rng);
  } else {
    const std::int64_t gpus = pick({2, 4, 8, 8}, rng);
    task.demand.ask_gpus(static_cast<std::int32_t>(gpus));
    task.demand.amounts[kCpu] = gpus * pick({8'000, 10'000}, rng);
  }
  task.demand.amounts[kMemory] = pick({2, 8, 16, 32}, rng) << 30;
  return task;
}

}  // namespace

GpuTrace generated_gpu_trace(std::size_t nodes, Rng& rng) {
  GpuTrace trace;
  for (std::size_t i = 0; i < nodes; ++i) trace.nodes.push_back(generated_node(i, rng));
  for (std::size_t i = 0; i < 4 * nodes; ++i) trace.tasks.push_back(generated_task(rng));
  return trace;
}

FillFigures fill_cluster(const GpuTrace& trace, const PlacementPolicy& policy, std::uint64_t seed) {
  return Fill(trace, policy, seed).run();
}

}  // namespace trainyard::sched::testing
