#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdlib>

#include "apps/described_flags.h"
#include "apps/server/server.h"
#include "apps/usage.h"

/// Read by the allocator as it starts; the variable MALLOC_CONF goes before it. Huge pages: the first touch of many small ones costs
/// more than all else that a submit does (docs/performance.md), at 25 MB for a server that does nothing.
extern "C" const char* const malloc_conf = "thp:always,metadata_thp:auto";

namespace trainyard::apps {
namespace {

/// Where a browser gets in. The link is for the person who reads along: a file could be read by others, and later.
std::string browser_line(Server& server, bool open) {
  if (open) return server.url() + "/";
  struct stat output {};
  const bool kept = ::fstat(STDOUT_FILENO, &output) != 0 || S_ISREG(output.st_mode);
  const std::optional<std::string> link = kept ? std::nullopt : server.make_login_link();
  return link ? *link + " (signs in once, within 15 minutes)" : server.url() + "/ (asks for the token)";
}

/// What --auth none means, at every start.
void warn_of_open_server() {
  fmt::print(
      stderr,
      "WARNING: --auth none: nobody has to show a token. Every program and every user of this machine may do everything here as the\n"
      "WARNING: administrator, which includes running commands as the user who started this server. It listens on loopback only.\n"
      "WARNING: To end this, stop the server and start it without --auth none.\n");
}

void greet(Server& server, bool open) {
  fmt::print("Trainyard serves at {}\n  data      {} ({})\n", server.url(), server.data_directory(), server.about());
  if (!open) fmt::print("  token     {}\n", server.address().token_file);
  fmt::print("  browser   {}\n  next      trainyard job submit --follow -- echo hello\n", browser_line(server, open));
  std::fflush(stdout);
  if (open) warn_of_open_server();
  if (server.read_only()) fmt::print(stderr, "warning: {}\n", server.read_only()->describe());
}

Result<void> write_ready_file(const ServerSettings& settings, const ServerAddress& address) {
  if (settings.ready_file.empty()) return {};
  Document ready = Document::object();
  ready.set("url", address.url);
  ready.set("token_file", address.token_file);
  ready.set("pid", address.pid);
  return write_file_atomically(settings.ready_file, to_json(ready) + "\n");
}

/// Waits for a signal, the end of the lifeline or a request to shut down. True when the jobs are to end too.
bool wait_for_the_end(const Server& server, int signals, int lifeline) {
  for (;;) {
    pollfd watched[] = {{signals, POLLIN, 0}, {lifeline, POLLIN, 0}};
    // The request flag is set by a handler thread; a second of delay at the very end harms nobody.
    ::poll(watched, lifeline >= 0 ? 2 : 1, 1000);
    if (server.shutdown_requested()) return true;
    if ((watched[0].revents & POLLIN) != 0) return false;
    if (lifeline >= 0 && (watched[1].revents & (POLLHUP | POLLIN)) != 0) return true;
  }
}

int run(const ServerSettings& settings) {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&mask, signal);
  pthread_sigmask(SIG_BLOCK, &mask, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGCHLD, SIG_IGN);  // The warden is a child only by birth: nobody waits for it.
  const UniqueFd signals(::signalfd(-1, &mask, SFD_CLOEXEC));

  StderrLogSink log(settings.verbose ? LogLevel::kDebug : LogLevel::kWarning);
  const auto on_fatal = [&log](const Error& error) {
    log.write({LogLevel::kError, "server.fatal", {{"error", error.describe()}}});
    std::_Exit(70);
  };
  Result<std::unique_ptr<Server>> server = Server::make(settings, log, on_fatal);
  Result<void> ready = server.ok() ? write_ready_file(settings, (*server)->address()) : Result<void>(server.error());
  if (!ready.ok()) {
    fmt::print(stderr, "error: {}\n", ready.error().describe());
    return 1;
  }
  greet(**server, settings.auth == "none");
  const bool stop_jobs = wait_for_the_end(**server, signals.get(), static_cast<int>(settings.lifeline));
  (*server)->stop(stop_jobs);
  return 0;
}

}  // namespace
}  // namespace trainyard::apps

int main(int argc, char** argv) {
  using namespace trainyard;
  std::vector<std::string> words(argv + 1, argv + argc);
  std::string verb;
  if (!words.empty() && (words[0] == "up" || words[0] == "server")) {
    verb = words[0];
    words.erase(words.begin());
  }
  CLI::App app{verb == "server" ? "Starts the control plane alone; machines join with `trainyard agent`."
                                : "Starts everything on this machine: the control plane and a worker, in one process.",
               verb.empty() ? "trainyard-server" : "trainyard " + verb};
  std::string file;
  Document flags = Document::object();
  app.add_option("--config", file, "File with these settings as YAML, without the dashes; flags win");
  apps::add_described_flags(app, schema_of<apps::ServerSettings>(), flags);
  app.footer("Example:\n  " + app.get_name() + " --data ./trainyard --port 0");
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "{}", apps::explain_usage_error(app, words, error.what()));
    return 2;
  }
  Result<apps::ServerSettings> settings = apps::read_server_settings(file, flags);
  if (!settings.ok()) {
    fmt::print(stderr, "error: {}\n", settings.error().describe());
    return 2;
  }
  settings->version = TRAINYARD_VERSION;
  settings->embedded_agent = settings->embedded_agent && verb != "server";
  return apps::run(*settings);
}
