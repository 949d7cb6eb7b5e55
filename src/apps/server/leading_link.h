#pragma once
#include <functional>
#include <utility>

#include "agent/agent_link.h"

namespace trainyard::apps {

/// What this process answers in place of what it believes, once it has lost the lead.
inline Error lead_is_over() {
  return unavailable("leader.unknown", "this server does not lead the installation any more; ask again in a moment");
}

/// Hands calls of agents to `inner` and keeps its answers back once this process has lost the lead: what memory says then is no longer the
/// truth, and an agent that believed it would give up the output of ranks which the next leader holds. Errors: also UNAVAILABLE
/// "leader.unknown", upon which agents keep what they have and ask again. Thread-safe as `inner` is.
class LeadingLink final : public agent::AgentLink {
 public:
  LeadingLink(agent::AgentLink& inner, std::function<bool()> leads) : inner_(inner), leads_(std::move(leads)) {}

  Result<exec::DesiredState> sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait) override {
    return while_leading(inner_.sync(observation, seen_version, wait));
  }
  void interrupt() override { inner_.interrupt(); }
  Result<std::uint64_t> log_end(const RankKey& rank) override { return while_leading(inner_.log_end(rank)); }
  Result<std::uint64_t> append_log(const RankKey& rank, std::uint64_t offset, std::string_view encoded) override {
    return while_leading(inner_.append_log(rank, offset, encoded));
  }
  Result<std::uint64_t> events_end(const RankKey& rank) override { return while_leading(inner_.events_end(rank)); }
  Result<std::uint64_t> append_events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) override {
    return while_leading(inner_.append_events(rank, first, lines));
  }

 private:
  template <typename T>
  Result<T> while_leading(Result<T> answer) const {
    if (leads_()) return answer;
    return lead_is_over();
  }

  agent::AgentLink& inner_;
  const std::function<bool()> leads_;
};

}  // namespace trainyard::apps
