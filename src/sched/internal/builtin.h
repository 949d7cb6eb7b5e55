#pragma once
#include "sched/policy.h"

namespace trainyard::sched {

// One policy per file in policies/; policies/builtin.cpp lists them.

const OrderPolicy& fifo_order();
const OrderPolicy& priority_order();
const OrderPolicy& drf_order();
const OrderPolicy& fair_share_order();
const OrderPolicy& las_order();
const OrderPolicy& deadline_order();
const OrderPolicy& finish_time_order();
const OrderPolicy& shortest_order();

const SharePolicy& order_share();
const SharePolicy& drf_share();
const SharePolicy& hdrf_share();
const SharePolicy& fair_share_share();

const BackfillPolicy& strict_fifo_backfill();
const BackfillPolicy& fifo_backfill();
const BackfillPolicy& greedy_backfill();
const BackfillPolicy& easy_backfill();
const BackfillPolicy& easy_count_backfill();
const BackfillPolicy& reserve_k_backfill();
const BackfillPolicy& conservative_backfill();

}  // namespace trainyard::sched
