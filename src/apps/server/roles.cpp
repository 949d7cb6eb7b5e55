#include "apps/server/roles.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "base/describe.h"

namespace trainyard::apps {
namespace {

constexpr std::array kRoles{Role::kApi, Role::kScheduler, Role::kWorkflow, Role::kTracking, Role::kRegistry, Role::kFeatures};
constexpr std::array<std::string_view, 5> kListeners{"api", "tracking", "registry", "features", "metrics"};

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    parts.push_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
  const std::optional<std::string> near = nearest(word, known);
  return near ? fmt::format("did you mean \"{}\"?", *near) : fmt::format("known: {}", fmt::join(known, ", "));
}

Error bad_listener(std::string_view item, std::string_view why) {
  return invalid_argument(
      "server.listen",
      fmt::format("a listener is written NAME=HOST:PORT, like api=127.0.0.1:8000 or metrics=[::1]:9090; {}: \"{}\"", why, item));
}

Result<ListenAddress> parse_address(std::string_view item, std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad_listener(item, "the port is missing");
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') != host.ends_with(']')) return bad_listener(item, "a bracket is missing");
  if (host.starts_with('[')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad_listener(item, "an IPv6 address stands in brackets");
  }
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return bad_listener(item, "a port lies between 0 and 65535");
  }
  return ListenAddress{std::string(host), port};
}

}  // namespace

std::string_view name_of(Role role) {
  switch (role) {
    case Role::kApi:
      return "api";
    case Role::kScheduler:
      return "scheduler";
    case Role::kWorkflow:
      return "workflow";
    case Role::kTracking:
      return "tracking";
    case Role::kRegistry:
      return "registry";
    case Role::kFeatures:
      return "features";
  }
  return "";
}

Result<std::set<Role>> parse_roles(std::string_view text) {
  if (text.empty()) return std::set<Role>(kRoles.begin(), kRoles.end());
  std::set<Role> roles;
  std::vector<std::string> known;
  for (const Role role : kRoles) known.emplace_back(name_of(role));
  for (const std::string_view word : split(text)) {
    const std::size_t before = roles.size();
    bool found = false;
    for (const Role role : kRoles) {
      if (name_of(role) != word) continue;
      found = true;
      roles.insert(role);
    }
    if (!found) return invalid_argument("server.role", fmt::format("unknown role; {}: \"{}\"", suggestion(word, known), word));
    if (roles.size() == before) return invalid_argument("server.role", fmt::format("the role is named twice: \"{}\"", word));
  }
  return roles;
}

Result<Listeners> parse_listeners(std::string_view text) {
  Listeners listeners;
  for (const std::string_view item : split(text)) {
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) return bad_listener(item, "the '=' is missing");
    const std::string_view name = item.substr(0, equals);
    if (std::find(kListeners.begin(), kListeners.end(), name) == kListeners.end()) {
      return bad_listener(item, "unknown name, " + suggestion(name, {kListeners.begin(), kListeners.end()}));
    }
    ASSIGN_OR_RETURN(ListenAddress address, parse_address(item, item.substr(equals + 1)));
    if (!listeners.emplace(name, std::move(address)).second) return bad_listener(item, "this name stands there twice");
  }
  return listeners;
}

std::string_view ProcessPlan::listener_of(std::string_view name) const { return listeners.contains(name) ? name : "api"; }

Result<ProcessPlan> plan_process(const ProcessRequest& request) {
  ProcessPlan plan;
  ASSIGN_OR_RETURN(plan.roles, parse_roles(request.roles));
  ASSIGN_OR_RETURN(plan.listeners, parse_listeners(request.listen));
  plan.stands = plan.has(Role::kScheduler);
  if (plan.has(Role::kScheduler) != plan.has(Role::kWorkflow)) {
    return invalid_argument("server.role",
                            "jobs and workflows are held by one process, the leader: name scheduler and workflow together, or neither");
  }
  if (plan.roles.size() < kRoles.size() && !request.several_can_run) {
    return failed_precondition("server.one_process",
                               "SQLite serves one process, which must have all roles: leave out --roles, or give --database "
                               "postgresql://.. and --state postgresql://.. or redis://.. to run several processes");
  }
  bool api = plan.stands || plan.has(Role::kApi);
  for (const Role role : {Role::kTracking, Role::kRegistry, Role::kFeatures}) {
    const bool listens = plan.listeners.contains(name_of(role));
    if (listens && !plan.has(role)) return bad_listener(name_of(role), "this process does not have the role");
    if (!listens && plan.has(role)) api = true;
  }
  if (api) plan.listeners.try_emplace("api", request.api);
  return plan;
}

}  // namespace trainyard::apps
