#include "sched/internal/builtin_placement.h"

#include <fmt/format.h>

#include <array>

#include "base/describe.h"

namespace trainyard::sched {

std::span<const PlacementPolicy* const> placement_policies() {
  static const std::array kPolicies{
      &first_fit_placement(),       //
      &best_fit_placement(),        //
      &worst_fit_placement(),       //
      &random_placement(),          //
      &dot_product_placement(),     //
      &gpu_packing_placement(),     //
      &gpu_clustering_placement(),  //
      &fgd_placement(),             //
      &fgd_balanced_placement(),    //
      &topology_placement(),
  };
  return kPolicies;
}

Result<const PlacementPolicy*> find_placement_policy(std::string_view name) {
  std::vector<std::string> names;
  for (const PlacementPolicy* policy : placement_policies()) {
    if (policy->info().name == name) return policy;
    names.push_back(policy->info().name);
  }
  const std::optional<std::string> near = nearest(name, names);
  const std::string hint = near ? fmt::format("did you mean \"{}\"?", *near) : fmt::format("there are {}.", fmt::join(names, ", "));
  return not_found("policy.unknown", fmt::format("no placement policy has this name; {} Got \"{}\"", hint, name));
}

}  // namespace trainyard::sched
