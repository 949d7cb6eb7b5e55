#pragma once
#include "apps/cli/output.h"

namespace trainyard::apps {

// How each kind of thing is listed.
const ResourceView& jobs_view();
const ResourceView& attempts_view();
const ResourceView& events_view();
const ResourceView& workflows_view();
const ResourceView& queues_view();
const ResourceView& nodes_view();
const ResourceView& pools_view();
const ResourceView& usage_view();
const ResourceView& users_view();
const ResourceView& tokens_view();
const ResourceView& runs_view();
const ResourceView& models_view();
const ResourceView& datasets_view();

/// Every one of them, for tests and completion.
std::vector<const ResourceView*> all_views();

/// "3/16": what is used of what there is; "16" when nothing is said about use.
std::string used_of(const Document& used, const Document& total);

}  // namespace trainyard::apps
