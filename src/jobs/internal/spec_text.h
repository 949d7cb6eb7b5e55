#pragma once
#include "domain/job_spec.h"
#include "jobs/internal/json_text.h"

namespace trainyard::jobs::internal {

/// Writes the spec as an object under `key`, without the fields that have their default value: decode<JobSpec> reads back an equal spec.
/// Names every field of JobSpec::describe once more, since this is written for each job; a test holds the two together.
void write_spec(std::string_view key, const JobSpec& spec, JsonText& out);
void write_dependencies(std::string_view key, const std::vector<JobDependency>& dependencies, JsonText& out);

}  // namespace trainyard::jobs::internal
