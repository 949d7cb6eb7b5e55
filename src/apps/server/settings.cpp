#include "apps/server/settings.h"

namespace trainyard::apps {

void ServerSettings::describe(FieldVisitor& fields) {
  fields.field("data", data, "Data directory; empty: the user's data directory.");
  fields.field("host", host, "Address to listen on.");
  fields.field("port", port, {.min = 0, .max = 65'535}, "Port of the platform API; 0: a free one, chosen once and kept.");
  fields.field("ready-file", ready_file, "Written when the server serves: url, token_file and pid.");
  fields.field("lifeline", lifeline, {.min = -1, .max = 1'048'576}, "File descriptor whose end of file stops everything.");
  fields.field("embedded-agent", embedded_agent, "Run jobs on this machine too.");
  fields.field("node", node, "Name of the embedded node.");
  fields.field("cpus", cpus, "CPU of the embedded node; 0: all.");
  fields.field("memory", memory, "Memory of the embedded node; 0B: all.");
  fields.field("lease", lease, "How long a node may be silent.");
  fields.field("datasets.synthetic-fallback", synthetic_fallback, "Use a small synthetic dataset when one is missing.");
  fields.field("verbose", verbose, "Log debug events.");
}

}  // namespace trainyard::apps
