#include "apps/server/settings.h"

#include <fmt/format.h>

#include "access/identity.h"
#include "base/file.h"

namespace trainyard::apps {

void ServerSettings::describe(FieldVisitor& fields) {
  fields.field("data", data, "Data directory; default: $XDG_DATA_HOME/trainyard.");
  fields.field("state", state, "Where jobs are kept: sqlite:///path, postgresql://.. or redis://..; default: SQLite in --data.");
  fields.field("database", database, "Where the rest is kept: sqlite:///path or postgresql://..; default: the same.");
  fields.field("files", files, "Directory of logs, objects and checkpoints, the same for all processes; default: --data.");
  fields.field("roles", roles, "What this process does: api, scheduler, workflow, tracking, registry, features; default: all.");
  fields.field("listen", listen, "Further addresses: api=HOST:PORT,tracking=..,registry=..,metrics=..; default: --host and --port.");
  fields.field("advertise", advertise, "URL where other processes of the installation reach this one.");
  fields.field("public-url", public_url, "URL where jobs and people reach the installation, as behind a load balancer.");
  fields.field("takeover", takeover, "How long a leader may be silent until another takes over; 1s to 1h.");
  fields.choice("auth", auth, {"token", "none"}, "Whether callers show a token; none is for loopback only.");
  fields.field("tls-cert", tls_cert, "Certificate as PEM file: TLS 1.3 only.");
  fields.field("tls-key", tls_key, "Private key of the certificate, as PEM file.");
  fields.field("insecure-public", insecure_public, "Listen without TLS where others can reach it.");
  fields.choice("kubernetes", kubernetes, {"off", "preview", "apply"}, "preview: logs of jobs show the manifests for them.");
  fields.field("host", host, "Address to listen on.");
  fields.field("port", port, {.min = 0, .max = 65'535},
               "Port of the platform API; 0: a free one, chosen once and kept for the data directory.");
  fields.field("ready-file", ready_file, "File to write when the server serves: url, token_file and pid as JSON.");
  fields.field("lifeline", lifeline, {.min = -1, .max = 1'048'576}, "File descriptor whose end of file stops everything.");
  fields.field("agent", embedded_agent, "the worker that runs jobs on this machine.");
  fields.field("node", node, "Name of the embedded node.");
  fields.field("cpus", cpus, "CPU of the embedded node, as 4 or 3500m; 0m: all.");
  fields.field("memory", memory, "Memory of the embedded node, as 16GiB; 0B: all.");
  fields.field("lease", lease, "How long a node may be silent; 500ms to 1d.");
  fields.field("scheduler", scheduler, "File with queues, quotas and policies, as YAML; empty: one queue \"default\".");
  fields.field("datasets.synthetic-fallback", synthetic_fallback, "Use a small synthetic dataset when one is missing.");
  fields.field("verbose", verbose, "Log debug events.");
}

namespace {

/// The object in a YAML file; an empty file is an empty object.
Result<Document> read_object(const std::string& file, const std::string& what) {
  Result<std::string> text = read_file(file, std::size_t{1} << 20);
  if (!text.ok()) return std::move(text).error().with_context("reading the settings of the " + what);
  ASSIGN_OR_RETURN(Document object, parse_yaml(*text, file));
  if (object.is_null()) return Document::object();
  if (!object.is_object()) return invalid_argument("config.type", "the settings of the " + what + " must be an object: " + file, file);
  return object;
}

/// Shorter ones end before the next sign of life can come: nodes report three times in a lease, leaders likewise.
constexpr Duration kLeaseMin = std::chrono::milliseconds(500);
constexpr Duration kLeaseMax = std::chrono::hours(24);
constexpr Duration kTakeoverMin = std::chrono::seconds(1);
constexpr Duration kTakeoverMax = std::chrono::hours(1);

Result<void> check_span(std::string_view option, Duration value, Duration min, Duration max) {
  if (value >= min && value <= max) return {};
  return invalid_argument("server.span",
                          fmt::format("{} must lie between {} and {}: {}", option, format_duration(min), format_duration(max),
                                      value < Duration(0) ? "a negative time" : format_duration(value)),
                          std::string(option));
}

/// One of a pair of options that need each other.
Result<void> check_pair(std::string_view given, const std::string& value, std::string_view missing) {
  if (value.empty()) return {};
  return invalid_argument("server.tls",
                          fmt::format("{0} needs {1}, which is missing: give the PEM file for {1} too; {0}: {2}", given, missing, value),
                          std::string(missing));
}

Result<void> check_settings(const ServerSettings& settings) {
  TRY(check_span("--lease", settings.lease, kLeaseMin, kLeaseMax));
  TRY(check_span("--takeover", settings.takeover, kTakeoverMin, kTakeoverMax));
  if (settings.tls_key.empty()) TRY(check_pair("--tls-cert", settings.tls_cert, "--tls-key"));
  if (settings.tls_cert.empty()) TRY(check_pair("--tls-key", settings.tls_key, "--tls-cert"));
  Result<void> node = access::check_node_name(settings.node);
  if (!node.ok()) return invalid_argument(node.error().id, node.error().message, "--node");
  return {};
}

}  // namespace

Result<ServerSettings> read_server_settings(const std::string& file, const Document& flags) {
  Document all = Document::object();
  if (!file.empty()) {
    ASSIGN_OR_RETURN(all, read_object(file, "server"));
  }
  for (const auto& [name, value] : flags.members()) all.set(name, value);
  ASSIGN_OR_RETURN(ServerSettings settings, decode<ServerSettings>(all));
  TRY(check_settings(settings));
  return settings;
}

Result<sched::SchedulerSettings> read_scheduler_settings(const std::string& file) {
  if (file.empty()) return sched::SchedulerSettings::standard();
  ASSIGN_OR_RETURN(const Document object, read_object(file, "scheduler"));
  return sched::scheduler_settings_from(object);
}

}  // namespace trainyard::apps
