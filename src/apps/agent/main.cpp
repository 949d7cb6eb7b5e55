#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "access/identity.h"
#include "adapters/agent_pool/failover.h"
#include "adapters/agent_pool/http_link.h"
#include "agent/address.h"
#include "agent/agent.h"
#include "agent/hardware.h"
#include "agent/installation.h"
#include "agent/standing.h"
#include "agent/trust.h"
#include "apps/programs.h"
#include "base/describe.h"
#include "base/failpoint.h"

namespace trainyard::apps {
namespace {

using adapters::agent_pool::AgentCredential;
using adapters::agent_pool::CredentialSource;
using adapters::agent_pool::FailoverClients;
using adapters::agent_pool::HttpLink;
using adapters::agent_pool::StoredCredential;

constexpr Duration kJoinPause = std::chrono::seconds(2);
constexpr Duration kDrainStep = std::chrono::milliseconds(200);
constexpr Duration kWardenGrace = std::chrono::seconds(5);

struct Options {
  std::string url;
  std::string token_file;
  std::string ca_file;
  std::string auth = "token";
  std::string data;
  std::string node;
  std::string cpus;
  std::string memory;
  std::string gpus;
  std::string labels;
  std::string pool;
  std::string address;
  bool drain_on_stop = false;
  std::string drain_deadline = "10m";
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--join", options.url, "Server to join, as http://host:port or https://host:port; several processes of one: with commas")
      ->required();
  app.add_option("--token-file", options.token_file, "File with an access token, or a join token that is traded for a credential");
  app.add_option("--ca-file", options.ca_file, "Certificates (PEM) to trust when the server speaks TLS; default: those of this machine")
      ->envname("TRAINYARD_CA_FILE");
  app.add_option("--auth", options.auth, "none: the server takes everybody on this machine (--auth none); default: token")
      ->check(CLI::IsMember({"token", "none"}));
  app.add_option("--data", options.data, "Directory for what runs here; default: trainyard-agent in $XDG_STATE_HOME or ~/.local/state");
  app.add_option("--node", options.node, "Name of this node; default: the host's name");
  app.add_option("--pool", options.pool, "Pool this node belongs to; default: as the join token says, or \"default\"");
  app.add_option("--labels", options.labels, "Labels of this node, as k=v,k2=v2; os, arch and host are there by themselves");
  app.add_option("--cpus", options.cpus, "CPU to offer, as 4 or 3500m; default: all");
  app.add_option("--memory", options.memory, "Memory to offer, as 16GiB; default: all");
  app.add_option("--gpus", options.gpus, "GPUs to offer: all, none, how many (2) or which ones (0,2 or 2,); default: all");
  app.add_option("--address", options.address, "Where ranks on other nodes reach those here; default: the address towards the server");
  app.add_flag("--drain-on-stop", options.drain_on_stop,
               "At the end let the server move what runs here; without it what runs here goes on");
  app.add_option("--drain-deadline", options.drain_deadline, "How long that may take; what is left then is stopped")->capture_default_str();
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "node";
}

Result<std::string> data_directory(const std::string& given) {
  if (!given.empty()) return std::filesystem::absolute(given).string();
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  // The specification of base directories wants relative ones ignored.
  if (const std::string state = variable("XDG_STATE_HOME"); state.starts_with('/')) return state + "/trainyard-agent";
  if (const std::string home = variable("HOME"); home.starts_with('/')) return home + "/.local/state/trainyard-agent";
  return invalid_argument("agent.no_directory", "neither XDG_STATE_HOME nor HOME says where files go: give a directory with --data");
}

Result<std::string> token_in(const std::string& path) {
  if (path.empty()) return std::string();
  ASSIGN_OR_RETURN(std::string token, read_file(path, 4096));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  return token;
}

/// Capacity, GPUs and labels. `credential` may say what the join token said of this node.
Result<agent::AgentSettings> settings_from(const Options& options, const std::string& data_dir, const std::string& node,
                                           const StoredCredential& granted, const Clock& clock) {
  agent::AgentSettings settings;
  settings.data_dir = data_dir;
  settings.node.text = node;
  if (!options.cpus.empty()) {
    ASSIGN_OR_RETURN(const MilliCpu cpus, parse_milli_cpu(options.cpus));
    settings.capacity.milli_cpu = cpus.milli;
  }
  if (!options.memory.empty()) {
    ASSIGN_OR_RETURN(const ByteSize memory, parse_byte_size(options.memory));
    settings.capacity.memory_bytes = memory.bytes;
  }
  agent::NodeDescription description;
  description.gpus = options.gpus;
  ASSIGN_OR_RETURN(description.labels, agent::parse_labels(options.labels));
  // What the administrator wrote into the join token cannot be changed by the machine.
  for (const auto& [name, value] : granted.labels) description.labels[name] = value;
  if (!options.pool.empty()) description.pool = options.pool;
  if (!granted.pool.empty()) description.pool = granted.pool;
  description.address = options.address;
  if (description.address.empty()) {
    ASSIGN_OR_RETURN(description.address, agent::local_address_towards(options.url.substr(0, options.url.find(','))));
  }
  ASSIGN_OR_RETURN(settings.facts, agent::describe_node(description, {}, clock));
  settings.environment = agent::trust_variables(options.ca_file);
  ASSIGN_OR_RETURN(settings.warden_program, find_program("trainyard-warden"));
  return settings;
}

/// Signals that end the agent; they are blocked, so that nothing but these waits sees them.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&mask_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&mask_, signal);
    pthread_sigmask(SIG_BLOCK, &mask_, nullptr);
  }
  void wait() const {
    int received = 0;
    sigwait(&mask_, &received);
  }
  /// True when one came within `span`.
  bool wait_for(Duration span) const {
    const timespec time{span.count() / 1'000'000, span.count() % 1'000'000 * 1'000};
    return sigtimedwait(&mask_, nullptr, &time) > 0;
  }

 private:
  sigset_t mask_{};
};

/// Tells people how the node stands with the server, and ends the agent when that is over.
class StandingTeller {
 public:
  StandingTeller(std::string serving, const Clock& clock) : serving_(std::move(serving)), standing_({}, clock) {}

  void note_accepted() {
    if (standing_.note_accepted() != agent::Standing::News::kServes) return;
    fmt::print("{}\n", serving_);
    std::fflush(stdout);
  }
  void note_refused(const Error& error) {
    const agent::Standing::News news = standing_.note_refused(error);
    if (news == agent::Standing::News::kRefused) fmt::print(stderr, "refused, trying again for a while: {}\n", error.describe());
    if (news == agent::Standing::News::kOver) ::kill(::getpid(), SIGTERM);
  }
  std::optional<Error> fatal() const { return standing_.fatal(); }

 private:
  const std::string serving_;
  agent::Standing standing_;
};

int fail(const Error& error) {
  fmt::print(stderr, "error: {}\n", error.describe());
  return 1;
}

/// Waits for a server that does not answer yet. None when a signal came first.
Result<std::unique_ptr<CredentialSource>> join(const AgentCredential::Settings& settings, const AgentCredential::Deps& deps,
                                               const StopSignals& signals) {
  bool told = false;
  for (;;) {
    Result<std::unique_ptr<CredentialSource>> credential = AgentCredential::open(settings, deps);
    if (credential.ok() || credential.error().category != Category::kUnavailable) return credential;
    if (!std::exchange(told, true)) fmt::print(stderr, "waiting for the server: {}\n", credential.error().describe());
    if (signals.wait_for(kJoinPause)) return credential;
  }
}

/// Lets the server move what runs here, until nothing is left, the deadline or another signal; then ends the warden.
void drain(agent::Agent& agent, const StopSignals& signals, Duration patience, const Clock& clock) {
  fmt::print("draining: the server moves what runs here; another signal ends it at once\n");
  std::fflush(stdout);
  agent.leave();
  const MonotonicPoint deadline = clock.monotonic_now() + patience;
  while (!agent.drained() && clock.monotonic_now() < deadline) {
    if (signals.wait_for(kDrainStep)) break;
  }
  agent.shutdown_warden(kWardenGrace);
}

int run(const Options& options) {
  const StopSignals signals;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGCHLD, SIG_IGN);  // The warden is a child only by birth: nobody waits for it.

  StderrLogSink log(LogLevel::kWarning);
  SystemClock clock;
  const Result<Duration> drain_patience = parse_duration(options.drain_deadline);
  if (!drain_patience.ok()) return fail(drain_patience.error());
  const Result<std::string> data_dir = data_directory(options.data);
  if (!data_dir.ok()) return fail(data_dir.error());
  const Result<agent::DirectoryLock> lock = agent::DirectoryLock::take(*data_dir);
  if (!lock.ok()) return fail(lock.error());
  const Result<std::string> token = token_in(options.token_file);
  if (!token.ok()) return fail(token.error());

  const std::string node = options.node.empty() ? host_name() : options.node;
  if (const Result<void> named = access::check_node_name(node); !named.ok()) {
    fmt::print(stderr, "error: --node: {}: {}\n", named.error().id, named.error().message);
    return 2;
  }
  const Result<std::vector<std::string>> urls = adapters::agent_pool::parse_server_urls(options.url);
  if (!urls.ok()) return fail(urls.error());
  const FailoverClients clients = adapters::agent_pool::make_failover_clients(*urls, {.ca_file = options.ca_file});
  // A faulty address heals by no waiting.
  if (const auto first = clients.connect(); !first.ok()) return fail(first.error());
  Result<std::unique_ptr<CredentialSource>> credential =
      options.auth == "none"
          ? Result<std::unique_ptr<CredentialSource>>(std::make_unique<adapters::agent_pool::FixedCredential>(""))
          : join({.data_dir = *data_dir, .node = node, .token = *token}, {.connect = clients.connect, .clock = clock, .log = log}, signals);
  if (!credential.ok()) return fail(credential.error());
  const auto* own = dynamic_cast<const AgentCredential*>(credential->get());
  const Result<agent::AgentSettings> settings =
      settings_from(options, *data_dir, node, own == nullptr ? StoredCredential() : own->stored(), clock);
  if (!settings.ok()) return fail(settings.error());

  HttpLink link(clients.connect, **credential);
  StandingTeller standing(fmt::format("node {} serves {}; stop it with ^C, {}", node, options.url,
                                      options.drain_on_stop ? "its jobs are moved then" : "its jobs go on"),
                          clock);
  agent::Agent agent(*settings, {.link = link,
                                 .clock = clock,
                                 .log = log,
                                 .on_refused = [&](const Error& error) { standing.note_refused(error); },
                                 .on_accepted = [&] { standing.note_accepted(); },
                                 .server_url = clients.url_in_use});
  fmt::print("node {} tries to reach {}\n", node, options.url);
  std::fflush(stdout);
  agent.start();
  signals.wait();
  const std::optional<Error> refused = standing.fatal();
  if (!refused && options.drain_on_stop) drain(agent, signals, *drain_patience, clock);
  agent.stop();
  return refused ? fail(*refused) : 0;
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
