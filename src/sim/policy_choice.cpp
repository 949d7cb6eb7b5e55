#include "sim/policy_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/describe.h"
#include "sched/policy.h"
#include "sim/fields.h"

namespace trainyard::sim {
namespace {

struct Kind {
  std::string_view name;
  std::string PolicyChoice::*chosen;
  std::vector<const sched::PolicyInfo*> policies;
};

template <typename Policies>
std::vector<const sched::PolicyInfo*> infos(const Policies& policies) {
  std::vector<const sched::PolicyInfo*> all;
  for (const auto* policy : policies) all.push_back(&policy->info());
  return all;
}

/// In the order in which a name is looked up.
std::array<Kind, 4> kinds() {
  return {{{"backfill", &PolicyChoice::backfill, infos(sched::backfill_policies())},
           {"order", &PolicyChoice::order, infos(sched::order_policies())},
           {"sharing", &PolicyChoice::sharing, infos(sched::share_policies())},
           {"placement", &PolicyChoice::placement, infos(sched::placement_policies())}}};
}

bool has(const Kind& kind, std::string_view name) {
  return std::any_of(kind.policies.begin(), kind.policies.end(), [name](const sched::PolicyInfo* info) { return info->name == name; });
}

Error unknown_policy(std::string_view name) {
  std::vector<std::string> names;
  for (const Kind& kind : kinds()) {
    for (const sched::PolicyInfo* info : kind.policies) names.push_back(info->name);
  }
  const std::optional<std::string> near = nearest(name, names);
  return not_found("policy.unknown", fmt::format("no policy has this name; {}`trainyard simulate --list-policies` shows all: \"{}\"",
                                                 near ? fmt::format("did you mean \"{}\"? ", *near) : "", shown(name)));
}

Result<void> choose(std::string_view name, PolicyChoice& choice) {
  bool known = false;
  for (const Kind& kind : kinds()) {
    if (!has(kind, name)) continue;
    known = true;
    if (!(choice.*kind.chosen).empty()) continue;
    choice.*kind.chosen = name;
    return {};
  }
  if (!known) return unknown_policy(name);
  return invalid_argument("policy.twice",
                          fmt::format("a policy of this kind is already chosen; name one of each kind: \"{}\"", shown(name)));
}

std::string number_text(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15 ? fmt::format("{:.0f}", value) : fmt::format("{:g}", value);
}

void list(const Kind& kind, std::string& out) {
  out += fmt::format("{} policies\n", kind.name);
  for (const sched::PolicyInfo* info : kind.policies) {
    out += fmt::format("  {:<18}{}\n", info->name, info->meaning);
    for (const sched::ParameterInfo& parameter : info->parameters) {
      out += fmt::format("      --param {}={}  ({} to {}) {}\n", parameter.name, number_text(parameter.fallback),
                         number_text(parameter.least), number_text(parameter.most), parameter.meaning);
    }
    std::string promises;
    if (info->promise.overtakes_max) {
      promises += fmt::format("at most {} later jobs start before a waiting one", *info->promise.overtakes_max);
    }
    if (info->promise.work_conserving) promises += fmt::format("{}work-conserving", promises.empty() ? "" : "; ");
    out += fmt::format("      promises: {}\n", promises.empty() ? "nothing on order or idle room" : promises);
    if (!info->source.empty()) out += fmt::format("      source: {}\n", info->source);
  }
}

}  // namespace

Result<PolicyChoice> parse_policy(std::string_view text) {
  PolicyChoice choice;
  for (;;) {
    const std::size_t end = std::min(text.find('+'), text.size());
    TRY(choose(text.substr(0, end), choice));
    if (end == text.size()) return choice;
    text.remove_prefix(end + 1);
  }
}

Result<void> choose_policies(const PolicyChoice& choice, const std::vector<std::string>& parameters, sched::QueueSettings& queue,
                             sched::SharingSettings& sharing) {
  const auto or_else = [](const std::string& chosen, const char* fallback) { return chosen.empty() ? std::string(fallback) : chosen; };
  queue.order = or_else(choice.order, "fifo");
  queue.backfill = or_else(choice.backfill, "fifo");
  queue.placement = or_else(choice.placement, "first_fit");
  sharing.policy = or_else(choice.sharing, "order");
  TRY(sched::find_order_policy(queue.order));
  TRY(sched::find_backfill_policy(queue.backfill));
  TRY(sched::find_placement_policy(queue.placement));
  TRY(sched::find_share_policy(sharing.policy));
  for (const std::string& text : parameters) {
    const std::size_t equals = text.find('=');
    double value = 0;
    const char* begin = equals == std::string::npos ? nullptr : text.data() + equals + 1;
    const char* end = text.data() + text.size();
    const auto parsed = begin == nullptr ? std::from_chars_result{end, std::errc::invalid_argument} : std::from_chars(begin, end, value);
    if (equals == 0 || parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(value)) {
      return invalid_argument("policy.parameter",
                              fmt::format("a parameter cannot be read; write NAME=NUMBER, such as k=4: \"{}\"", shown(text)));
    }
    queue.parameters[text.substr(0, equals)] = value;
  }
  return {};
}

std::string list_policies() {
  std::string out;
  for (const Kind& kind : kinds()) {
    if (!out.empty()) out += '\n';
    list(kind, out);
  }
  return out;
}

}  // namespace trainyard::sim
