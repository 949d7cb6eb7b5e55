#pragma once
#include <vector>

#include "base/time.h"
#include "store/database.h"

namespace trainyard::track {

/// Tables of tracking, registry and artifacts: component "track".
const std::vector<store::Migration>& track_migrations();

/// Brings the tables up to date and makes sure that experiment "0", "Default", exists. Errors: those of store::migrate.
Result<void> prepare_tracking(store::Database& database, const Clock& clock);

}  // namespace trainyard::track
