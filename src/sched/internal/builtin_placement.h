#pragma once
#include "sched/policy.h"

namespace trainyard::sched {

// One policy per file in policies/; policies/builtin_placement.cpp lists them.

const PlacementPolicy& first_fit_placement();
const PlacementPolicy& best_fit_placement();
const PlacementPolicy& worst_fit_placement();
const PlacementPolicy& random_placement();
const PlacementPolicy& dot_product_placement();
const PlacementPolicy& gpu_packing_placement();
const PlacementPolicy& gpu_clustering_placement();
const PlacementPolicy& fgd_placement();
const PlacementPolicy& fgd_balanced_placement();
const PlacementPolicy& topology_placement();

}  // namespace trainyard::sched
