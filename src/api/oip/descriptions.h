#pragma once
#include <string>
#include <vector>

#include "base/document.h"
#include "serve/model_host.h"

namespace trainyard::api::oip {

/// What the protocol says about a server and its models, as JSON trees.
Document server_metadata(const std::string& version);
Document model_metadata(const serve::ServedVersion& served, const std::vector<serve::VersionStatus>& statuses);
Document model_config(const serve::ServedVersion& served);
Document repository_index(const std::vector<serve::VersionStatus>& statuses, bool ready_only);
/// One entry of `model_stats`.
Document model_statistics(const serve::ServedVersion& served);

/// The counters in the Prometheus text format, under the names Triton made customary.
std::string prometheus_text(const std::vector<serve::ServedVersionPtr>& served);

}  // namespace trainyard::api::oip
