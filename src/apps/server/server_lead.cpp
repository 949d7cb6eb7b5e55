#include <fmt/format.h>

#include "access/token_authorizer.h"
#include "api/platform/queues.h"
#include "apps/server/composed_server.h"

// The place of a server process among the others of its installation: election, taking over, and what is handed on to the leader.

namespace trainyard::apps {
namespace {

constexpr Duration kFollowEvery = std::chrono::seconds(1);
constexpr Duration kHouseEvery = std::chrono::seconds(1);
constexpr Duration kQuietMax = std::chrono::seconds(5);  ///< After it a leader without work asks whether the ledger is still its own.
constexpr Duration kIntroduction = std::chrono::seconds(4);
constexpr Duration kIntroductionStep = std::chrono::milliseconds(100);

}  // namespace

Result<void> ComposedServer::stand_for_election() {
  if (!state_.shared_database) {
    TRY(access_->service().ensure_admin());
    return recover();
  }
  election_ = std::make_unique<cluster::LeaderElection>(
      cluster::LeaderElection::Settings{.member = state_.member, .url = own_url(), .patience = settings_.takeover}, *state_.database,
      clock_);
  leadership_ = std::make_unique<cluster::Leadership>(
      cluster::Leadership::Settings{.stands = plan_.stands, .patience = settings_.takeover},
      cluster::Leadership::Deps{.executor = election_turns_, .clock = clock_, .election = *election_, .log = log_},
      cluster::Leadership::Hooks{.on_elected = [this] { writes_.post([this] { take_over(); }); }, .on_deposed = on_fatal_});
  forwarder_ =
      std::make_unique<api::Forwarder>(api::ForwarderSettings{.tls = {.ca_file = address_.ca_file}}, [this] { return leader_url(); });
  Result<bool> elected = leadership_->start();
  if (!elected.ok()) return std::move(elected).error().with_context("standing for the lead of the installation");
  follow_others();
  if (*elected) {
    TRY(access_->service().ensure_admin());
    TRY(recover());
    leadership_->take_office();
    return {};
  }
  if (state_.shared && !settings_.embedded_agent) {
    introduce_to_leader();
    return {};
  }

  // What it has cannot stand by: jobs in a ledger of its own, or a worker that speaks to its own process alone.
  if (lead_is_taken_.wait_for(settings_.takeover * 2) == std::future_status::ready) return {};
  return failed_precondition(
      "server.not_leader",
      fmt::format("another server leads this installation, and this one cannot stand by: start it with `trainyard server` (without a "
                  "worker of its own) and with --state postgresql://.. or redis://..; its worker joins with `trainyard agent --join {}`; "
                  "the leader: {}",
                  leader_url().value_or("URL"), leader_url().value_or("unknown")));
}

/// Waits until the leader knows the admin token of this data directory: whoever reads it from its file, now that this server is up, must be
/// let in. A leader that cannot be asked is not waited for.
void ComposedServer::introduce_to_leader() {
  const MonotonicPoint deadline = clock_.monotonic_now() + kIntroduction;
  net::ClientRequest who{.target = "/api/v1/whoami", .timeout = std::chrono::duration_cast<std::chrono::milliseconds>(kIntroduction)};
  who.headers.set("Authorization", "Bearer " + state_.admin_token);
  while (clock_.monotonic_now() < deadline) {
    const std::optional<std::string> url = leader_url();
    if (!url) return;
    const Result<std::unique_ptr<net::HttpClient>> client = net::make_http_client(*url, {.ca_file = address_.ca_file});
    if (!client.ok()) return;
    const Result<net::Response> answer = (*client)->send(who);
    if (!answer.ok() || answer->status != 401) return;
    if (lead_is_taken_.wait_for(kIntroductionStep) == std::future_status::ready) return;
  }
}

/// On `writes`, after this process was elected: first who may do what, then the jobs.
void ComposedServer::take_over() {
  if (const Result<void> followed = access_->follow(); !followed.ok()) return on_fatal_(followed.error());
  if (const Result<void> made = access_->service().ensure_admin(); !made.ok()) return on_fatal_(made.error());
  strand_.post([this] {
    if (Result<void> recovered = recover(); !recovered.ok()) return on_fatal_(recovered.error());
    leadership_->take_office();
    log_.write({LogLevel::kWarning, "server.leads", {{"url", address_.url}}});
    lead_taken_.set_value();
  });
}

Result<void> ComposedServer::recover() {
  // Nobody else has the services yet: they are not listening, or hand everything on.
  ASSIGN_OR_RETURN(const std::vector<cluster::QueueIntent> queues, queue_intents_.list());
  for (const cluster::QueueIntent& intent : queues) {
    const Result<void> told = api::apply_queue_intent(*jobs_, intent);
    if (!told.ok()) log_.write({LogLevel::kWarning, "server.queue_gone", {{"queue", intent.queue}}});
  }
  Result<void> recovered = jobs_->recover();
  if (!recovered.ok()) return std::move(recovered).error().with_context("loading the jobs from " + state_.ledger_name);
  // Every ledger may be emptied behind our back; the history knows how far the last one was.
  ASSIGN_OR_RETURN(const EventNumber known, history_.position());
  if (known > jobs_->last_event()) {
    return data_loss(
        "ledger.missing",
        fmt::format("the ledger lacks events that were taken into the history, so it is another one or was emptied: restore it from "
                    "a backup; its last event: {}, known: {}, ledger: {}",
                    jobs_->last_event().text(), known.text(), state_.ledger_name));
  }
  job_runs_.repair(jobs_->last_event());
  history_follower_.poke();
  return recover_nodes_and_workflows();
}

Result<void> ComposedServer::recover_nodes_and_workflows() {
  ASSIGN_OR_RETURN(const std::vector<cluster::NodeIntent> intents, node_intents_.list());
  for (const cluster::NodeIntent& intent : intents) {
    ASSIGN_OR_RETURN(const exec::NodeState node_state, exec::node_state_from(intent.state));
    pool_.set_node_state(intent.node, node_state, intent.reason);
  }
  TRY(workflows_->recover());
  strand_.post([this] { keep_house(); });
  return {};
}

/// Every second.
void ComposedServer::keep_house() {
  jobs_->keep_house(kQuietMax);
  strand_.post_at(clock_.monotonic_now() + kHouseEvery, [this] { keep_house(); });
}

/// Every second: who may do what, where another process makes the changes, and the admin tokens of all.
void ComposedServer::follow_others() {
  writes_.post([this] {
    const Result<std::set<std::string>> digests = admin_token_digests(*state_.database);
    if (digests.ok()) access_->set_admin_tokens(*digests);
    const Result<void> followed = leads() ? Result<void>() : access_->follow();
    const Result<void> all = digests.ok() ? followed : Result<void>(digests.error());
    if (!all.ok()) log_.write({LogLevel::kWarning, "access.follow_failed", {{"error", all.error().describe()}}});
  });
  strand_.post_at(clock_.monotonic_now() + kFollowEvery, [this] { follow_others(); });
}

bool ComposedServer::is_elsewhere(const net::Route& route, const net::Request& request) const {
  if (route.group == "process" || leads()) return false;
  if (route.group == "leader") return true;
  for (const Role role : plan_.roles) {
    if (name_of(role) != route.group) continue;
    // Only the leader knows which attempts of jobs are current.
    return access::token_of(request).value_or("").starts_with("ty_job_");
  }
  return true;
}

std::optional<std::string> ComposedServer::leader_url() const {
  const std::optional<cluster::Leader> leader = leadership_ == nullptr ? std::nullopt : leadership_->leader();
  return leader && leader->member != state_.member ? std::optional(leader->url) : std::nullopt;
}

}  // namespace trainyard::apps
