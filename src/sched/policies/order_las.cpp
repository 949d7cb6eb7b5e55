#include "sched/internal/builtin.h"
#include "sched/internal/keyed_order.h"

namespace trainyard::sched {
namespace {

/// One device (or core) for one hour.
constexpr double kMilliSecondsPerHour = 1000 * 3600;

class LasOrder final : public OrderPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "las",
        .meaning =
            "Least attained service in two queues: jobs that have had little service first, by arrival; then the others, each until "
            "it has waited long enough. It orders waiting jobs and takes nothing from running ones.",
        .source = "Gu et al., Tiresias, NSDI 2019",
        .parameters = {{.name = "threshold_gpu_hours",
                        .fallback = 16,
                        .least = 0,
                        .most = 1e9,
                        .meaning = "Service that moves a job to the second queue: GPU hours, core hours for jobs without GPUs."},
                       {.name = "promote_after",
                        .fallback = 8,
                        .least = 0,
                        .most = 1e9,
                        .meaning = "Back to the first queue after waiting so many times as long as it ran; 0: never."}},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }

  std::unique_ptr<OrderPass> begin(const OrderView& view) const override {
    const PolicyParameters& given = view.queue.queue(view.index).settings.parameters;
    const double threshold = parameter(info(), given, "threshold_gpu_hours") * kMilliSecondsPerHour;
    const double promote_after = parameter(info(), given, "promote_after");
    return keyed_order(view, [&](const JobSnapshot& job) {
      const auto attained = static_cast<double>(job.attained_milli_seconds);
      if (attained < threshold || attained <= 0) return OrderKey{0};
      const double executed = attained / static_cast<double>(milli_of(job));
      const double waited = static_cast<double>((view.now - job.queued_at).count()) / 1e6 - executed;
      return OrderKey{promote_after > 0 && waited > promote_after * executed ? 0.0 : 1.0};
    });
  }

 private:
  /// Thousandths of a device, of a core without GPUs: the unit of attained service.
  static std::int64_t milli_of(const JobSnapshot& job) {
    const Amounts total = job.total();
    return std::max<std::int64_t>(1, total[kGpu] > 0 ? total[kGpu] : total[kCpu]);
  }
};

}  // namespace

const OrderPolicy& las_order() {
  static const LasOrder kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
