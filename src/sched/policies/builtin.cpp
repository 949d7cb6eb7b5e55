#include "sched/internal/builtin.h"

#include <fmt/format.h>

#include "base/describe.h"

namespace trainyard::sched {
namespace {

template <typename Policy>
Result<const Policy*> find_policy(std::span<const Policy* const> policies, std::string_view what, std::string_view name) {
  std::vector<std::string> names;
  for (const Policy* policy : policies) {
    if (policy->info().name == name) return policy;
    names.push_back(policy->info().name);
  }
  const std::optional<std::string> near = nearest(name, names);
  const std::string hint = near ? fmt::format("did you mean \"{}\"?", *near) : fmt::format("there are {}.", fmt::join(names, ", "));
  return not_found("policy.unknown", fmt::format("no {} policy has this name; {} Got \"{}\"", what, hint, name));
}

}  // namespace

std::span<const OrderPolicy* const> order_policies() {
  // clang-format off
  static const std::vector<const OrderPolicy*> kPolicies{
      &fifo_order(),
      &priority_order(),
      &drf_order(),
      &fair_share_order(),
      &las_order(),
      &deadline_order(),
      &finish_time_order(),
      &shortest_order(),
  };
  // clang-format on
  return kPolicies;
}

std::span<const SharePolicy* const> share_policies() {
  // clang-format off
  static const std::vector<const SharePolicy*> kPolicies{
      &order_share(),
      &drf_share(),
      &hdrf_share(),
      &fair_share_share(),
  };
  // clang-format on
  return kPolicies;
}

std::span<const BackfillPolicy* const> backfill_policies() {
  // clang-format off
  static const std::vector<const BackfillPolicy*> kPolicies{
      &strict_fifo_backfill(),
      &fifo_backfill(),
      &greedy_backfill(),
      &easy_backfill(),
      &easy_count_backfill(),
      &reserve_k_backfill(),
      &conservative_backfill(),
  };
  // clang-format on
  return kPolicies;
}

Result<const OrderPolicy*> find_order_policy(std::string_view name) { return find_policy(order_policies(), "order", name); }
Result<const SharePolicy*> find_share_policy(std::string_view name) { return find_policy(share_policies(), "sharing", name); }
Result<const BackfillPolicy*> find_backfill_policy(std::string_view name) { return find_policy(backfill_policies(), "backfill", name); }

double parameter(const PolicyInfo& info, const PolicyParameters& given, std::string_view name) {
  for (const ParameterInfo& parameter : info.parameters) {
    if (parameter.name != name) continue;
    if (given.empty()) return parameter.fallback;
    const auto found = given.find(parameter.name);
    return found == given.end() ? parameter.fallback : found->second;
  }
  CHECK(false, "a policy asked for a parameter that it does not declare");
  return 0;
}

}  // namespace trainyard::sched
