#include <algorithm>

#include "sched/internal/builtin.h"
#include "sched/internal/keyed_order.h"
#include "sched/internal/run_length.h"
#include "sched/share.h"

namespace trainyard::sched {
namespace {

/// What rho is computed from, apart from the job.
struct FinishTimeView {
  const Amounts& capacity;
  double contending = 1;       ///< Jobs that run or wait.
  double unknown_seconds = 0;  ///< Taken for jobs that say no run time.
  TimePoint now;
};

double seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

/// T_shared / T_alone: finishing if it started now and ran at full size, over finishing on an equal part of the cluster from the beginning.
double finish_time_fairness(const JobSnapshot& job, const FinishTimeView& view) {
  const Duration expected = expected_length(job);
  const double length = std::max(1e-6, expected == kForever ? view.unknown_seconds : seconds(expected));
  const Amounts total = job.total();
  const std::int64_t milli = total[kGpu] > 0 ? total[kGpu] : total[kCpu];
  const double executed = milli > 0 ? static_cast<double>(job.attained_milli_seconds) / static_cast<double>(milli) : 0;
  const double passed = std::max(0.0, seconds(view.now - job.queued_at));
  const double shared = passed + std::max(0.0, length - executed);
  const double alone = length * std::max(1.0, share_of(total, view.capacity).fraction() * view.contending);
  return shared / alone;
}

class FinishTimeOrder final : public OrderPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "finish_time",
        .meaning =
            "Higher tiers first, then the largest finish-time fairness rho: time in the shared cluster over time on an equal part of "
            "it. The number of contending jobs is that of now, not a mean over time.",
        .source = "Mahajan et al., Themis, NSDI 2020",
        .parameters = {{.name = "unknown_hours",
                        .fallback = 1,
                        .least = 0,
                        .most = 1e6,
                        .meaning = "Run time taken for jobs with neither estimate nor limit."}},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }

  std::unique_ptr<OrderPass> begin(const OrderView& view) const override {
    const PolicyParameters& given = view.queue.queue(view.index).settings.parameters;
    const FinishTimeView all{.capacity = view.cluster.capacity(),
                             .contending = static_cast<double>(view.cluster.running_count() + view.queue.pending_count()),
                             .unknown_seconds = parameter(info(), given, "unknown_hours") * 3600,
                             .now = view.now};
    return keyed_order(view, [&all](const JobSnapshot& job) { return OrderKey{-finish_time_fairness(job, all)}; });
  }
};

}  // namespace

const OrderPolicy& finish_time_order() {
  static const FinishTimeOrder kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
