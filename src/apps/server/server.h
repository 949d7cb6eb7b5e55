#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apps/server/data_directory.h"
#include "apps/server/settings.h"
#include "base/log.h"

namespace trainyard::apps {

/// The control plane of one installation, composed: state, jobs, workflows, the embedded agent and the HTTP server. Made, it serves.
class Server {
 public:
  /// Opens the data directory, recovers and starts to serve. `on_fatal` is called once, from any thread, when acknowledged state can no
  /// longer be made durable. Errors: those of every part, with context.
  static Result<std::unique_ptr<Server>> make(const ServerSettings& settings, LogSink& log, std::function<void(const Error&)> on_fatal);

  virtual ~Server() = default;
  /// For programs on this machine.
  virtual const ServerAddress& address() const = 0;
  /// For people: where the installation is reached, from other machines too as far as that is known.
  virtual std::string url() const = 0;
  virtual const std::string& data_directory() const = 0;
  /// Why this server only reads, when its disk was full as it started.
  virtual const std::optional<Error>& read_only() const = 0;
  /// A link that signs a browser in as admin: once, and for 15 minutes at most. For the person at the terminal; it goes into no file. None
  /// while another process leads the installation: it would have to make it.
  virtual std::optional<std::string> make_login_link() = 0;
  /// Where the state is, and who leads: for the person at the terminal.
  virtual std::string about() const = 0;
  /// True once a client asked for `trainyard down`.
  virtual bool shutdown_requested() const = 0;
  /// Stops accepting work and ends every thread. Running jobs stay with the warden unless `stop_jobs`.
  virtual void stop(bool stop_jobs) = 0;
};

}  // namespace trainyard::apps
