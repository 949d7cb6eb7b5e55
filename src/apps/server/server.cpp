#include "apps/server/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "agent/hardware.h"
#include "agent/trust.h"
#include "apps/programs.h"
#include "apps/server/composed_server.h"
#include "apps/server/port_probe.h"
#include "net/bind_rule.h"
#include "net/origin.h"

// The life of a server process.

namespace trainyard::apps {
namespace {

std::string absolute_path(const std::string& path) { return path.empty() ? path : std::filesystem::absolute(path).string(); }

constexpr std::chrono::milliseconds kHttpGrace{500};
constexpr Duration kJobsGrace = std::chrono::seconds(30);

/// "h" of "https://h:8443", a URL that was checked.
std::string host_of(std::string_view url) { return net::host_name_of(url.substr(url.find("://") + 3)); }

/// "https://h:8443" of "https://h:8443/". Errors: INVALID_ARGUMENT naming the option.
Result<std::string> checked_url(std::string url, std::string_view option) {
  if (url.empty()) return url;
  const Result<std::unique_ptr<net::HttpClient>> client = net::make_http_client(url);
  if (!client.ok() || url.find("://") == std::string::npos) {
    return invalid_argument("server.url", fmt::format("{} takes a URL like https://yard.example:8470, without a path: {}", option, url));
  }
  while (url.ends_with('/')) url.pop_back();
  return url;
}

/// Where one listens everywhere, and where nobody can be told to go.
bool is_wildcard(std::string_view host) { return host == "0.0.0.0" || host == "::"; }

}  // namespace

ComposedServer::ComposedServer(ServerSettings settings, DataDirectory directory, State state, LogSink& log,
                               std::function<void(const Error&)> on_fatal)
    : settings_(std::move(settings)),
      directory_(std::move(directory)),
      state_(std::move(state)),
      log_(log),
      on_fatal_(std::move(on_fatal)),
      logs_(*state_.logs),
      pool_({.lease = settings_.lease}, {.strand = strand_, .clock = clock_, .log = log_}),
      catalog_(*state_.database, clock_),
      resolver_({.catalog = catalog_,
                 .objects = *state_.objects,
                 .cache = state_.files + "/cache",
                 .synthetic_fallback = settings_.synthetic_fallback}),
      tracking_({.database = *state_.database, .objects = *state_.objects, .clock = clock_}),
      track_sink_(tracking_),
      job_runs_({.writes = writes_, .sink = track_sink_, .runs = tracking_.runs(), .ledger = *state_.ledger, .log = log_}),
      history_(*state_.database),
      history_follower_(
          {.strand = strand_, .writes = writes_, .clock = clock_, .ledger = *state_.ledger, .history = history_, .log = log_}),
      node_intents_(*state_.database),
      queue_intents_(*state_.database),
      workflow_repository_(*state_.database, {"job", "tune", "gate", "register"}) {}

/// A port that was asked for must be free; one that was only remembered is replaced.
Result<std::uint16_t> ComposedServer::choose_port(const ListenAddress& address) const {
  if (address.port != 0) return address.port;
  const std::uint16_t remembered = directory_.remembered_port();
  if (remembered != 0) {
    if (Result<std::uint16_t> port = probe_port(address.host, remembered); port.ok()) return port;
    log_.write({LogLevel::kWarning, "server.port_changed", {{"taken", std::int64_t{remembered}}}});
  }
  return probe_port(address.host, 0);
}

std::string ComposedServer::url_of(const std::string& host, std::uint16_t port) const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", settings_.tls_cert.empty() ? "http" : "https", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

/// By which name programs on this machine reach what listens on `host`, so that they take the certificate for it.
std::string ComposedServer::host_here(const std::string& host) const {
  const std::string plain = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host;
  if (settings_.tls_cert.empty() || certificate_.cover(plain)) return plain;
  if ((is_wildcard(host) || net::is_loopback_address(host)) && certificate_.cover("localhost")) return "localhost";
  return certificate_.all().empty() ? plain : certificate_.all().front();
}

/// What people and other machines are told where nobody knows better.
std::string ComposedServer::told_url() const {
  const bool told = !settings_.public_url.empty() || !settings_.advertise.empty() || !listeners_.contains("api");
  const ListenAddress own = told ? ListenAddress() : listeners_.at("api").address;
  if (told || !is_wildcard(own.host) || certificate_.all().empty()) return public_url();
  return url_of(certificate_.all().front(), own.port);
}

/// Where everything will be served: URLs are told before anything listens.
Result<void> ComposedServer::choose_addresses() {
  ASSIGN_OR_RETURN(settings_.advertise, checked_url(settings_.advertise, "--advertise"));
  ASSIGN_OR_RETURN(settings_.public_url, checked_url(settings_.public_url, "--public-url"));
  const ListenAddress api{settings_.host, static_cast<std::uint16_t>(settings_.port)};
  ASSIGN_OR_RETURN(plan_,
                   plan_process({.roles = settings_.roles, .listen = settings_.listen, .api = api, .several_can_run = state_.shared}));
  if (!settings_.tls_cert.empty()) {
    ASSIGN_OR_RETURN(certificate_, access::CertificateNames::read(settings_.tls_cert));
  }
  const auto own = plan_.listeners.find("api");
  if (state_.shared && plan_.stands && settings_.advertise.empty() && own != plan_.listeners.end() && is_wildcard(own->second.host)) {
    return invalid_argument("server.advertise",
                            "other processes of the installation must reach this one, and an address that stands for all of them says not "
                            "where: give --advertise http://HOST:PORT, or listen on one address; it listens on " +
                                own->second.host);
  }
  for (const auto& [name, address] : plan_.listeners) {
    TRY(check_host(address.host));
    TRY(net::check_bind({.host = address.host, .tls = !settings_.tls_cert.empty(), .insecure_public = settings_.insecure_public}));
    Listener& listener = listeners_[name];
    listener.address = address;
    const bool main = name == "api" || !plan_.listeners.contains("api");
    if (main || address.port == 0) {
      ASSIGN_OR_RETURN(listener.address.port, name == "api" ? choose_port(address) : probe_port(address.host, address.port));
    }
    if (main)
      address_ = {url_of(host_here(address.host), listener.address.port), directory_.path("token"), ::getpid(),
                  absolute_path(settings_.tls_cert)};
  }
  return {};
}

Result<void> ComposedServer::make_access() {
  AccessControl::Settings settings{.admin_token = state_.admin_token,
                                   .installation_key = state_.installation_key,
                                   .open = settings_.auth == "none",
                                   .read_only = state_.disk_full.has_value()};
  for (const auto& [name, listener] : listeners_) settings.hosts.push_back(listener.address.host);
  ASSIGN_OR_RETURN(access_, AccessControl::make(std::move(settings),
                                                {.database = *state_.database, .clock = clock_, .strand = strand_, .writes = writes_}));
  if (is_open()) log_.write({LogLevel::kWarning, "access.open", {{"url", address_.url}, {"administrator", "everybody on this machine"}}});
  access_->sessions().set_secure(!settings_.tls_cert.empty());
  for (auto& [name, listener] : listeners_) {
    listener.router = std::make_unique<net::Router>(*access_);
    listener.router->set_limiter(limiter_);
    access_->watch(*listener.router);
    if (state_.disk_full) listener.router->refuse_changes(*state_.disk_full);
  }
  return {};
}

Result<void> ComposedServer::listen() {
  for (auto& [name, listener] : listeners_) {
    net::HttpServerSettings http;
    http.host = listener.address.host;
    http.port = listener.address.port;
    http.certificate_file = settings_.tls_cert;
    http.key_file = settings_.tls_key;
    http.insecure_public = settings_.insecure_public;
    http.allowed_hosts = certificate_.all();
    for (const std::string& url : {settings_.advertise, settings_.public_url, told_url()}) {
      if (url.empty()) continue;
      http.allowed_hosts.push_back(host_of(url));
      http.allowed_origins.push_back(url);
    }
    Result<std::unique_ptr<net::HttpServer>> server = net::make_http_server(http, *listener.router);
    if (!server.ok() && server.error().id != "net.port_taken") {
      return std::move(server).error().with_context(fmt::format("starting to listen for {}", name));
    }
    if (!server.ok()) {
      return std::move(server).error().with_context(
          fmt::format("starting to listen for {}; choose another port with --port or --listen, or --port 0 for any", name));
    }
    listener.http = std::move(server).value();
  }
  return {};
}

Result<void> ComposedServer::start_agent() {
  if (!settings_.embedded_agent) return {};
  agent::AgentSettings settings;
  settings.data_dir = directory_.root();
  settings.node.text = settings_.node;
  settings.capacity = {settings_.cpus.milli, settings_.memory.bytes, 0};
  settings.lifeline = static_cast<int>(settings_.lifeline);
  settings.environment = agent::trust_variables(address_.ca_file);
  // Ranks on other nodes reach those here where this server is reached; behind a wildcard address nobody can tell.
  const std::string host = settings_.advertise.empty() ? listeners_.at("api").address.host : host_of(settings_.advertise);
  ASSIGN_OR_RETURN(settings.facts, agent::describe_node({.address = is_wildcard(host) ? "" : host}, {}, clock_));
  ASSIGN_OR_RETURN(settings.warden_program, find_program("trainyard-warden"));
  agent_ = std::make_unique<agent::Agent>(
      settings, agent::Agent::Deps{.link = *link_, .clock = clock_, .log = log_, .server_url = [url = own_url()] { return url; }});
  agent_->start();
  return {};
}

Result<void> ComposedServer::start() {
  TRY(choose_addresses());
  TRY(make_access());
  ASSIGN_OR_RETURN(sched::SchedulerSettings scheduler, read_scheduler_settings(settings_.scheduler));
  make_services(std::move(scheduler));
  add_all_routes();
  for (const auto& [name, listener] : listeners_) TRY(listener.router->check());
  if (state_.disk_full) {
    // Nothing is taken up: every step of a job would have to be written. Ranks go on under their warden, which keeps what they say.
    TRY(listen());
    Result<void> written = directory_.write_address(address_);
    return !written.ok() && written.error().id == "io.disk_full" ? Result<void>() : written;
  }
  TRY(stand_for_election());
  access_->start_sweeping();
  TRY(listen());
  TRY(start_agent());
  return directory_.write_address(address_);
}

std::optional<std::string> ComposedServer::make_login_link() {
  if (!leads() || !listeners_.contains("api")) return std::nullopt;
  return told_url() + "/login?link=" + access_->make_login_link();
}

std::string ComposedServer::about() const {
  const bool own_files = settings_.state.empty() && settings_.database.empty();
  std::string text =
      own_files ? "SQLite, local files" : fmt::format("jobs in {}, the rest in {}", state_.ledger_name, state_.database_name);
  if (settings_.embedded_agent) text += ", built-in worker";
  if (leads()) return text;
  return text + fmt::format("; follows {}", leader_url().value_or("whoever will lead"));
}

void ComposedServer::stop(bool stop_jobs) {
  if (std::exchange(stopped_, true)) return;
  for (auto& [name, listener] : listeners_) {
    if (listener.http) listener.http->stop(kHttpGrace);
  }
  if (agent_ && stop_jobs) agent_->shutdown_warden(kJobsGrace);
  if (agent_) agent_->stop();
  if (access_) access_->stop();
  // The strand ends before what its tasks use; the writers end first, since they post to it.
  for (auto& [name, listener] : listeners_) listener.http.reset();
  forwarder_.reset();
  election_turns_.stop();
  reads_.stop();
  writes_.stop();
  bulk_.stop();
  strand_.stop();
  // A commit in flight answers to the strand, which must still be there.
  state_.ledger.reset();
  // What was acknowledged is durable: the next one may take over at once.
  if (leadership_) leadership_->resign();
}

Result<std::unique_ptr<Server>> Server::make(const ServerSettings& settings, LogSink& log, std::function<void(const Error&)> on_fatal) {
  ASSIGN_OR_RETURN(DataDirectory directory, DataDirectory::open(settings.data.empty() ? default_data_directory() : settings.data));
  if (settings.kubernetes == "apply") {
    return failed_precondition(
        "server.kubernetes",
        "this version shows what it would apply to Kubernetes (--kubernetes preview) and does not apply it: jobs run on "
        "the agents of the server; leave USE_K8S unset, or set --kubernetes preview or off");
  }
  ASSIGN_OR_RETURN(State state, open_state(directory, {.ledger = settings.state, .database = settings.database, .files = settings.files}));
  auto server = std::make_unique<ComposedServer>(settings, std::move(directory), std::move(state), log, std::move(on_fatal));
  TRY(server->start());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace trainyard::apps
