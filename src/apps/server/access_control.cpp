#include "apps/server/access_control.h"

namespace trainyard::apps {
namespace {

constexpr Duration kSweepEvery = std::chrono::seconds(2);

}  // namespace

void AttemptNamespaces::set(const AttemptKey& attempt, const std::string& name_space) {
  const std::lock_guard lock(mutex_);
  of_jobs_[attempt.job] = name_space;
}

void AttemptNamespaces::forget(JobId job) {
  const std::lock_guard lock(mutex_);
  of_jobs_.erase(job);
}

std::optional<std::string> AttemptNamespaces::find(const AttemptKey& attempt) const {
  const std::lock_guard lock(mutex_);
  const auto found = of_jobs_.find(attempt.job);
  return found == of_jobs_.end() ? std::nullopt : std::optional(found->second);
}

AccessControl::AccessControl(Settings settings, Deps deps)
    : settings_(std::move(settings)),
      deps_(deps),
      tokens_(settings_.installation_key, deps.clock),
      sessions_({}, deps.clock),
      callers_(tokens_, sessions_, settings_.installation_key),
      users_(deps.database, deps.clock),
      audit_(deps.writes, users_),
      denials_(audit_, deps.clock),
      service_({}, {.repository = users_, .identities = tokens_.identities(), .audit = audit_, .clock = deps.clock},
               [this](const access::Revocation& over) { end_streams([&over](const net::Principal& who) { return over.concerns(who); }); }) {
}

Result<std::unique_ptr<AccessControl>> AccessControl::make(Settings settings, Deps deps) {
  std::unique_ptr<AccessControl> control(new AccessControl(std::move(settings), deps));
  const Settings& given = control->settings_;
  for (const std::string& host : given.open ? given.hosts : std::vector<std::string>()) {
    ASSIGN_OR_RETURN(control->anyone_, access::LoopbackAuthorizer::make(host));
  }
  control->tokens_.add_token(given.admin_token, {"admin", "admin"});
  if (given.read_only) return control;
  TRY(control->service_.start());
  control->tokens_.observe_use([raw = control.get()](const std::string& id, TimePoint now) {
    raw->deps_.writes.post([raw, id, now] { raw->service_.token_was_used(id, now); });
  });
  return control;
}

void AccessControl::watch(net::Router& router) {
  routers_.push_back(&router);
  if (settings_.read_only) return;
  router.observe_denials(
      [this](const net::Request& request, const net::Principal& principal, const Error& error) { denials_(request, principal, error); });
}

void AccessControl::end_streams(const std::function<bool(const net::Principal&)>& ends) const {
  for (const net::Router* router : routers_) router->end_streams(ends);
}

Result<void> AccessControl::follow() {
  ASSIGN_OR_RETURN(const bool changed, service_.follow());
  if (changed) end_streams([this](const net::Principal& who) { return !tokens_.is_current(who); });
  return {};
}

void AccessControl::start_sweeping() {
  deps_.strand.post_at(deps_.clock.monotonic_now() + kSweepEvery, [this, alive = alive_] {
    if (!*alive) return;
    deps_.writes.post([this, alive] {
      if (*alive) service_.sweep();
    });
    start_sweeping();
  });
}

Result<net::Principal> AccessControl::authenticate(const net::Request& request) {
  Result<net::Principal> caller = callers_.authenticate(request);
  const bool stranger = !caller.ok() && caller.error().id == "auth.missing";
  return stranger && anyone_ ? anyone_->authenticate(request) : caller;
}

bool AccessControl::is_current(const net::Principal& principal) const { return tokens_.is_current(principal); }

}  // namespace trainyard::apps
