#pragma once
#include <string>

#include "runner/program.h"
#include "serve/servable.h"

namespace trainyard::apps {

/// Serves the model of the spec until it is asked to stop: loads and warms it, listens, says `ready`, reports progress as its heartbeat,
/// drains. `version` is the program's. Errors: INVALID_ARGUMENT for the configuration, DATA_LOSS for an unreadable model, UNAVAILABLE
/// "net.port_taken".
Result<runner::ExitCode> run_serve_job(runner::JobContext& context, serve::ModelLoader& loader, const std::string& version);

}  // namespace trainyard::apps
