#pragma once
#include <string>

#include "client/api_client.h"

namespace trainyard::apps {

/// Posts a workflow file as it is, so that errors name its lines.
Result<Document> start_workflow(client::ApiClient& api, const std::string& file, std::string text);

/// Shows one live line per task until the run ended: redrawn in place on a terminal, one line per change elsewhere. Goes on over server
/// restarts for up to two minutes. Returns the run.
Result<Document> watch_workflow(client::ApiClient& api, const std::string& id, bool terminal);

/// The tasks of a run with their times and results.
std::string workflow_table(const Document& run);

/// Seconds that a task took; none while it has not ended.
std::optional<double> task_seconds(const Document& task);
/// The figures of a task's result worth showing, as "test_accuracy 0.89, steps 1875".
std::string task_figures(const Document& task);

}  // namespace trainyard::apps
