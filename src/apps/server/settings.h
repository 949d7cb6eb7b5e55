#pragma once
#include <string>

#include "base/describe.h"
#include "sched/scheduler_spec.h"

namespace trainyard::apps {

/// Everything `trainyard up` and `trainyard server` can be told, by flag or in the project's configuration file.
struct ServerSettings {
  std::string data;                ///< Data directory; empty: $XDG_DATA_HOME/trainyard.
  std::string state;               ///< URL of the ledger of jobs; empty: SQLite in the data directory.
  std::string database;            ///< URL of everything relational; empty: SQLite in the data directory.
  std::string files;               ///< Directory of logs, objects and checkpoints, which all processes share; empty: the data directory.
  std::string roles;               ///< "api,scheduler": see roles.h; empty: all.
  std::string listen;              ///< "tracking=127.0.0.1:5000": see roles.h; what is not named is served at host and port.
  std::string advertise;           ///< URL where other processes reach this one; empty: host and port.
  std::string public_url;          ///< URL where jobs and people reach the installation; empty: this process.
  Duration takeover{3'500'000};    ///< How long a leader may be silent before another process takes over.
  std::string auth = "token";      ///< "token", or "none": everybody is the administrator, on loopback only.
  std::string tls_cert;            ///< PEM file; with it the server speaks TLS 1.3 only.
  std::string tls_key;             ///< PEM file.
  bool insecure_public = false;    ///< Tokens may travel in the clear on an address that others can reach.
  std::string kubernetes = "off";  ///< "preview": logs of jobs show the manifests that would be applied.
  std::string host = "127.0.0.1";
  std::int64_t port = 8470;         ///< 0: chosen once per data directory and kept.
  std::string ready_file;           ///< Written when the server serves: {"url","token_file","pid"}.
  std::int64_t lifeline = -1;       ///< File descriptor; when it closes, everything started here ends.
  bool embedded_agent = true;       ///< False for `trainyard server`: agents join from outside.
  std::string node = "local";       ///< Name of the embedded node.
  MilliCpu cpus{0};                 ///< Of the embedded node; 0: what the machine has.
  ByteSize memory{0};               ///< Of the embedded node; 0: what the machine has.
  Duration lease{15'000'000};       ///< A node that is silent for this long has lost its ranks.
  std::string scheduler;            ///< File with queues and policies; empty: one queue.
  bool synthetic_fallback = false;  ///< A small synthetic dataset stands in for a missing one; tagged, refused by gate and register.
  bool verbose = false;
  std::string version = "unknown";  ///< Of this build; no setting, `main` knows it.

  void describe(FieldVisitor& fields);
};

/// The settings of `file` (YAML; none when empty), overridden by those of `flags`. Errors: those of reading, parsing and decoding;
/// INVALID_ARGUMENT "server.span", "server.tls" and "access.node_name" for values that cannot work, at the option.
Result<ServerSettings> read_server_settings(const std::string& file, const Document& flags);

/// The queues and policies of `file` (YAML); the standard ones when it is empty. Errors: those of reading, parsing and
/// scheduler_settings_from.
Result<sched::SchedulerSettings> read_scheduler_settings(const std::string& file);

}  // namespace trainyard::apps
