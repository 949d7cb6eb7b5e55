#pragma once
#include <optional>

#include "domain/namespace_set.h"
#include "track/types.h"

namespace trainyard::track {

/// Who asks, as far as tracking minds; by default somebody who may do nothing.
struct RunCaller {
  NamespaceSet reads;   ///< Whose runs it sees.
  NamespaceSet writes;  ///< Whose runs it changes.
  /// Set for an attempt of a job. Of what `writes` admits it then changes only the runs of this job: the job's own, and those that its
  /// attempts made.
  std::optional<JobId> job;

  bool may_read(const RunInfo& run) const { return reads.contains(run.name_space); }
  bool may_write(const RunInfo& run) const { return writes.contains(run.name_space) && (!job || run.job == *job); }
};

}  // namespace trainyard::track
