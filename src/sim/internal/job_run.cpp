#include "sim/internal/job_run.h"

#include <algorithm>

namespace trainyard::sim {
namespace {

__extension__ using Wide = __int128;
constexpr std::int64_t kFar = std::int64_t{1} << 61;

}  // namespace

Duration JobRun::progress(Duration now) const {
  if (tasks == 0 || leaving || now <= since) return done;
  const std::int64_t span = (now - since).count();
  const std::int64_t work = tasks == nominal ? span : static_cast<std::int64_t>(static_cast<Wide>(span) * tasks / nominal);
  return std::min(left, done + Duration(work));
}

Duration JobRun::finish() const {
  const std::int64_t work = (left - done).count();
  if (tasks == nominal) return since + Duration(work);
  const Wide span = (static_cast<Wide>(work) * nominal + tasks - 1) / tasks;
  return span > kFar ? Duration(kFar) : since + Duration(static_cast<std::int64_t>(span));
}

Duration JobRun::saved_by(Duration now, Duration interval) const {
  if (interval <= Duration(0)) return saved;
  return std::max(saved, Duration(progress(now).count() / interval.count() * interval.count()));
}

}  // namespace trainyard::sim
