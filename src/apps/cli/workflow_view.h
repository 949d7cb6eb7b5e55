#pragma once
#include <functional>
#include <string>

#include "apps/cli/task_lines.h"
#include "client/api_client.h"

namespace trainyard::apps {

/// Posts a workflow file as it is, so that errors name its lines.
Result<Document> start_workflow(client::ApiClient& api, const std::string& file, std::string text);

/// The style for standard output.
OutputStyle style_of_output();

struct WatchSettings {
  OutputStyle style;
  std::function<std::optional<Error>()> reason_to_end;  ///< May be empty. Asked whenever the server did not answer.
};

/// Shows one live line per task until the run ended: redrawn in place on a terminal, one line per change elsewhere. Goes on over server
/// restarts for up to two minutes. Returns the run. Errors: the reason to end; the last failure of the server.
Result<Document> watch_workflow(client::ApiClient& api, const std::string& id, const WatchSettings& settings);

/// The tasks of a run with their times and results.
std::string workflow_table(const Document& run);

}  // namespace trainyard::apps
