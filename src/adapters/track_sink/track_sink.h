#pragma once
#include <memory>

#include "jobs/attempt_sink.h"
#include "track/tracking.h"

namespace trainyard::adapters::track_sink {

/// Writes what attempts report into tracking: the run of a job lies in the experiment "Default" and carries the tags "trainyard.job_id" and
/// "trainyard.kind". A metric key that tracking does not take is stored with '_' in place of what is wrong with it, so that one bad key
/// never holds up the events behind it; what comes for a run that somebody deleted is dropped. `tracking` outlives the sink. Errors: those
/// of the database.
std::unique_ptr<jobs::AttemptSink> make_track_sink(track::Tracking& tracking);

}  // namespace trainyard::adapters::track_sink
