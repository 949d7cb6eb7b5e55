#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>

#include "adapters/agent_pool/http_link.h"
#include "agent/agent.h"
#include "apps/programs.h"
#include "base/describe.h"
#include "base/failpoint.h"

namespace trainyard::apps {
namespace {

struct Options {
  std::string url;
  std::string token_file;
  std::string data;
  std::string node;
  std::string cpus;
  std::string memory;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--join", options.url, "Server to join, as http://host:port")->required();
  app.add_option("--token-file", options.token_file, "File that holds the access token")->required();
  app.add_option("--data", options.data, "Directory for what runs here")->required();
  app.add_option("--node", options.node, "Name of this node; default: the host's name");
  app.add_option("--cpus", options.cpus, "CPU to offer, as 4 or 3500m; default: all");
  app.add_option("--memory", options.memory, "Memory to offer, as 16GiB; default: all");
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "node";
}

Result<agent::AgentSettings> settings_from(const Options& options) {
  agent::AgentSettings settings;
  TRY(make_directories(options.data));
  settings.data_dir = std::filesystem::absolute(options.data).string();
  settings.node.text = options.node.empty() ? host_name() : options.node;
  if (!options.cpus.empty()) {
    ASSIGN_OR_RETURN(const MilliCpu cpus, parse_milli_cpu(options.cpus));
    settings.capacity.milli_cpu = cpus.milli;
  }
  if (!options.memory.empty()) {
    ASSIGN_OR_RETURN(const ByteSize memory, parse_byte_size(options.memory));
    settings.capacity.memory_bytes = memory.bytes;
  }
  ASSIGN_OR_RETURN(settings.warden_program, find_program("trainyard-warden"));
  return settings;
}

Result<std::unique_ptr<adapters::agent_pool::HttpLink>> link_from(const Options& options) {
  ASSIGN_OR_RETURN(std::string token, read_file(options.token_file, 4096));
  while (!token.empty() && token.back() == '\n') token.pop_back();
  return adapters::agent_pool::HttpLink::make(options.url, token);
}

int run(const Options& options) {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&mask, signal);
  pthread_sigmask(SIG_BLOCK, &mask, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGCHLD, SIG_IGN);  // The warden is a child only by birth: nobody waits for it.

  StderrLogSink log(LogLevel::kWarning);
  SystemClock clock;
  Result<agent::AgentSettings> settings = settings_from(options);
  Result<std::unique_ptr<adapters::agent_pool::HttpLink>> link = link_from(options);
  if (!settings.ok() || !link.ok()) {
    fmt::print(stderr, "error: {}\n", (settings.ok() ? link.error() : settings.error()).describe());
    return 1;
  }
  agent::Agent agent(*settings, {.link = **link, .clock = clock, .log = log});
  agent.start();
  fmt::print("node {} serves {}; stop it with ^C, its jobs go on\n", settings->node.text, options.url);
  std::fflush(stdout);
  int received = 0;
  sigwait(&mask, &received);
  agent.stop();
  return 0;
}

}  // namespace
}  // namespace trainyard::apps

int main(int argc, char** argv) {
  trainyard::arm_failpoints_from_environment();
  trainyard::apps::Options options;
  CLI::App app{"Joins this machine to a Trainyard server as a node.", "trainyard-agent"};
  trainyard::apps::add_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return trainyard::apps::run(options);
}
