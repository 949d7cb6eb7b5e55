#include "sched/prediction.h"

#include <algorithm>

namespace trainyard::sched {

void RuntimePredictor::record(UserIndex user, Duration run_time) {
  if (run_time < Duration(0) || users_max_ == 0) return;
  const std::size_t place = user % users_max_;
  if (place >= memory_.size()) memory_.resize(place + 1);
  Memory& memory = memory_[place];
  memory.before = memory.user == user ? memory.last : run_time;
  memory.last = run_time;
  memory.user = user;
}

Duration RuntimePredictor::predict(UserIndex user, Duration limit) const {
  if (users_max_ == 0) return Duration(0);
  const std::size_t place = user % users_max_;
  if (place >= memory_.size() || memory_[place].user != user) return Duration(0);
  const Memory& memory = memory_[place];
  const Duration mean = memory.before / 2 + memory.last / 2 + Duration((memory.before.count() % 2 + memory.last.count() % 2) / 2);
  // Zero means "nothing known", so a user whose jobs end at once is given the shortest run time there is.
  return std::min(limit, std::max(mean, Duration(1)));
}

Duration estimate_while_running(Duration estimate, Duration elapsed, Duration limit) {
  if (estimate <= Duration(0)) return limit;
  if (elapsed < estimate) return std::min(estimate, limit);
  if (elapsed >= kForever / 2) return limit;
  const Duration grown = std::max(elapsed + elapsed / 2, elapsed + Duration(std::chrono::minutes(1)));
  return std::min(limit, grown);
}

}  // namespace trainyard::sched
