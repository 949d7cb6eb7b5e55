#include "sim/fairness.h"

namespace trainyard::sim {

FairnessMeter::FairnessMeter(std::span<const std::int64_t> weights_milli, std::int64_t capacity)
    : groups_(weights_milli.size()), capacity_(static_cast<double>(capacity)) {
  for (std::size_t i = 0; i < groups_.size(); ++i) groups_[i].weight = static_cast<double>(weights_milli[i]) / 1000;
}

void FairnessMeter::advance(Duration now) {
  if (now > now_ && active_weight_ > 0) clock_ += capacity_ * static_cast<double>((now - now_).count()) / active_weight_;
  now_ = now;
}

void FairnessMeter::settle(Group& group, Duration now) {
  if (group.waiting > 0) {
    group.service += static_cast<double>(group.used) * static_cast<double>((now - group.settled).count());
    group.entitlement += group.weight * (clock_ - group.clock);
  }
  group.settled = now;
  group.clock = clock_;
}

void FairnessMeter::change(std::uint32_t number, std::int64_t amount, std::int64_t jobs, Duration now) {
  if (now != now_) advance(now);
  Group& group = groups_[number];
  settle(group, now);
  const bool before = group.used > 0 || group.waiting > 0;
  group.used += amount;
  group.waiting += jobs;
  const bool after = group.used > 0 || group.waiting > 0;
  if (before != after) active_weight_ += after ? group.weight : -group.weight;
}

double FairnessMeter::index(Duration now) {
  advance(now);
  std::vector<double> values;
  for (Group& group : groups_) {
    settle(group, now);
    if (group.entitlement > 0) values.push_back(group.service / group.entitlement);
  }
  return jain_index(values);
}

double jain_index(std::span<const double> values) {
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(values.size()) * squares) : 1;
}

}  // namespace trainyard::sim
