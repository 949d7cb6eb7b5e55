#include "apps/server/settings.h"

#include "base/file.h"

namespace trainyard::apps {

void ServerSettings::describe(FieldVisitor& fields) {
  fields.field("data", data, "Data directory; default: $XDG_DATA_HOME/trainyard.");
  fields.field("host", host, "Address to listen on.");
  fields.field("port", port, {.min = 0, .max = 65'535},
               "Port of the platform API; 0: a free one, chosen once and kept for the data directory.");
  fields.field("ready-file", ready_file, "File to write when the server serves: url, token_file and pid as JSON.");
  fields.field("lifeline", lifeline, {.min = -1, .max = 1'048'576}, "File descriptor whose end of file stops everything.");
  fields.field("agent", embedded_agent, "the worker that runs jobs on this machine.");
  fields.field("node", node, "Name of the embedded node.");
  fields.field("cpus", cpus, "CPU of the embedded node, as 4 or 3500m; 0m: all.");
  fields.field("memory", memory, "Memory of the embedded node, as 16GiB; 0B: all.");
  fields.field("lease", lease, "How long a node may be silent.");
  fields.field("datasets.synthetic-fallback", synthetic_fallback, "Use a small synthetic dataset when one is missing.");
  fields.field("verbose", verbose, "Log debug events.");
}

Result<ServerSettings> read_server_settings(const std::string& file, const Document& flags) {
  Document all = Document::object();
  if (!file.empty()) {
    Result<std::string> text = read_file(file, std::size_t{1} << 20);
    if (!text.ok()) return std::move(text).error().with_context("reading the settings of the server");
    ASSIGN_OR_RETURN(all, parse_yaml(*text, file));
    if (all.is_null()) all = Document::object();
    if (!all.is_object()) return invalid_argument("config.type", "the settings of the server must be an object: " + file, file);
  }
  for (const auto& [name, value] : flags.members()) all.set(name, value);
  return decode<ServerSettings>(all);
}

}  // namespace trainyard::apps
