#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdlib>

#include "apps/server/server.h"

namespace trainyard::apps {
namespace {

void add_options(CLI::App& app, ServerSettings& settings, bool& no_agent, std::string& cpus, std::string& memory) {
  app.add_option("--data", settings.data, "Data directory");
  app.add_option("--host", settings.host, "Address to listen on");
  app.add_option("--port", settings.port, "Port; 0: a free one, kept for this data directory")->check(CLI::Range(0, 65'535));
  app.add_option("--ready-file", settings.ready_file, "Written when the server serves");
  app.add_option("--lifeline", settings.lifeline, "File descriptor whose end of file stops everything");
  app.add_option("--node", settings.node, "Name of the embedded node");
  app.add_option("--cpus", cpus, "CPU of the embedded node, as 4 or 3500m");
  app.add_option("--memory", memory, "Memory of the embedded node, as 16GiB");
  app.add_flag("--no-agent", no_agent, "Run no jobs in this process");
  app.add_flag("--datasets.synthetic-fallback", settings.synthetic_fallback, "Use a small synthetic dataset when one is missing");
  app.add_flag("--verbose", settings.verbose, "Log debug events");
}

void greet(const Server& server) {
  fmt::print(
      "Trainyard serves at {}\n"
      "  data      {} (SQLite, local files, built-in worker)\n"
      "  token     {}\n"
      "  next      trainyard job submit --follow -- echo hello\n",
      server.address().url, server.data_directory(), server.address().token_file);
  std::fflush(stdout);
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
  greet(**server);
  const bool stop_jobs = wait_for_the_end(**server, signals.get(), static_cast<int>(settings.lifeline));
  (*server)->stop(stop_jobs);
  return 0;
}

}  // namespace
}  // namespace trainyard::apps

int main(int argc, char** argv) {
  using namespace trainyard;
  apps::ServerSettings settings;
  CLI::App app{"Starts the Trainyard server.", "trainyard-server"};
  std::string verb;
  std::string cpus;
  std::string memory;
  bool no_agent = false;
  app.add_option("verb", verb, "up: with the built-in worker; server: the control plane alone")->check(CLI::IsMember({"up", "server"}));
  apps::add_options(app, settings, no_agent, cpus, memory);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  settings.embedded_agent = !no_agent && verb != "server";
  if (!cpus.empty()) {
    const Result<MilliCpu> parsed = parse_milli_cpu(cpus);
    if (!parsed.ok()) return fmt::print(stderr, "error: --cpus: {}\n", parsed.error().describe()), 2;
    settings.cpus = *parsed;
  }
  if (!memory.empty()) {
    const Result<ByteSize> parsed = parse_byte_size(memory);
    if (!parsed.ok()) return fmt::print(stderr, "error: --memory: {}\n", parsed.error().describe()), 2;
    settings.memory = *parsed;
  }
  return apps::run(settings);
}
