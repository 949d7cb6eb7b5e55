#include "tests/sim/control_invariants.h"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/dependencies.h"

namespace trainyard::sim_test {
namespace {

bool holds_ranks(JobState state) { return state == JobState::kStarting || state == JobState::kRunning || state == JobState::kStopping; }

std::int64_t charged(const jobs::Job& job) {
  return job.retries.user + job.retries.oom + job.retries.node_lost + job.retries.infrastructure;
}

JobId awaited(const JobDependency& dependency) { return JobId(static_cast<std::uint64_t>(dependency.job)); }

}  // namespace

std::vector<std::unique_ptr<Invariant>> control_invariants(const Clock& clock) {
  std::vector<std::unique_ptr<Invariant>> all;
  all.push_back(std::make_unique<HeldJobsStay>());
  all.push_back(std::make_unique<DependenciesHold>());
  all.push_back(std::make_unique<ArrayElementsOnce>());
  all.push_back(std::make_unique<PriorityHolds>());
  all.push_back(std::make_unique<OrderedNodesGetNothing>(clock));
  all.push_back(std::make_unique<DrainedNodesEmpty>(clock));
  all.push_back(std::make_unique<OnlyTheLeaderWrites>());
  all.push_back(std::make_unique<GangMeetsBeforeItStarts>());
  all.push_back(std::make_unique<PreemptionIsFree>());
  return all;
}

void HeldJobsStay::see_event(const store::EventRecord& event) {
  const auto known = jobs_.find(event.job);
  if (event.type == "held" || (event.type == "submitted" && known != jobs_.end() && known->second.spec.hold)) {
    held_.insert(event.job);
    ever_held_.insert(event.job);
  }
  if (event.type == "released") held_.erase(event.job);
  if (event.type != "launching") return;
  const JobId parent = known == jobs_.end() ? JobId() : known->second.array_parent;
  if (held_.contains(event.job)) violated(fmt::format("job {} was launched while it was held", event.job.value));
  if (parent.valid() && held_.contains(parent))
    violated(fmt::format("element {} of the held array {} was launched", event.job.value, parent.value));
}

void HeldJobsStay::see_batch() {
  for (const store::EventRecord& event : std::exchange(events_, {})) see_event(event);
}

void HeldJobsStay::see(const Happening& happening) {
  std::visit(Overloaded{[&](const EventDurable& h) { events_.push_back(h.event); },
                        [&](const JobDurable& h) { jobs_.insert_or_assign(h.job.id, h.job); }, [&](const BatchDurable&) { see_batch(); },
                        [&](const HoldAcknowledged& h) {
                          if (!ever_held_.contains(h.job))
                            violated(fmt::format("the hold of job {} was acknowledged and is not durable", h.job.value));
                        },
                        [](const auto&) {}},
             happening);
}

void DependenciesHold::see_batch() {
  const auto outcome = [this](const JobDependency& dependency) {
    const auto found = jobs_.find(awaited(dependency));
    const bool ended = found != jobs_.end() && is_terminal(found->second.state);
    return ended ? jobs::judge(dependency, found->second.state) : jobs::DependencyOutcome::kWaiting;
  };
  for (const JobId id : std::exchange(launched_, {})) {
    const jobs::Job& job = jobs_.at(id);
    const jobs::Job& submitted = job.array_parent.valid() ? jobs_.at(job.array_parent) : job;
    for (const JobDependency& dependency : submitted.spec.after) {
      if (outcome(dependency) == jobs::DependencyOutcome::kMet) continue;
      violated(fmt::format("job {} was launched though job {} has not ended \"{}\"", id.value, dependency.job, dependency.when));
    }
  }
  for (const JobId id : std::exchange(changed_, {})) {
    const jobs::Job& job = jobs_.at(id);
    if (job.reason_code != ReasonCode::kDependencyFailed) continue;
    const auto& after = job.spec.after;
    const auto impossible = [&](const JobDependency& dependency) { return outcome(dependency) == jobs::DependencyOutcome::kImpossible; };
    if (std::none_of(after.begin(), after.end(), impossible))
      violated(fmt::format("job {} was cancelled for a dependency that can be met", id.value));
  }
}

void DependenciesHold::see(const Happening& happening) {
  std::visit(Overloaded{[&](const EventDurable& h) {
                          if (h.event.type == "launching") launched_.push_back(h.event.job);
                        },
                        [&](const JobDurable& h) {
                          jobs_.insert_or_assign(h.job.id, h.job);
                          changed_.push_back(h.job.id);
                        },
                        [&](const BatchDurable&) { see_batch(); }, [](const auto&) {}},
             happening);
}

void ArrayElementsOnce::see_element(const jobs::Job& element) {
  const auto [made, fresh] = made_[element.array_parent].emplace(element.array_index, element.id);
  if (!fresh && made->second != element.id) {
    violated(fmt::format("element {} of array {} is job {} and job {}", element.array_index, element.array_parent.value, made->second.value,
                         element.id.value));
  }
  states_[element.array_parent][element.id] = element.state;
  changed_.insert(element.array_parent);
}

void ArrayElementsOnce::check(const jobs::Job& array) {
  const JobArray& asked = *array.spec.array;
  std::int64_t live = 0, succeeded = 0;
  for (const auto& [id, state] : states_[array.id]) {
    live += !is_terminal(state);
    succeeded += state == JobState::kSucceeded;
  }
  const auto made = static_cast<std::int64_t>(states_[array.id].size());
  if (made != array.array.created)
    violated(fmt::format("array {} counts {} elements, durable are {}", array.id.value, array.array.created, made));
  if (made > asked.count) violated(fmt::format("array {} has {} of {} elements", array.id.value, made, asked.count));
  if (asked.max_running > 0 && live > asked.max_running) violated(fmt::format("array {} has {} live elements", array.id.value, live));
  if (succeeded != array.array.succeeded) {
    violated(fmt::format("array {} counts {} successes, durable are {}", array.id.value, array.array.succeeded, succeeded));
  }
  if (!is_terminal(array.state)) return;
  if (live > 0) violated(fmt::format("array {} has ended and {} elements have not", array.id.value, live));
  if ((array.state == JobState::kSucceeded) != (succeeded == asked.count)) {
    violated(fmt::format("array {} is {} with {} of {} successes", array.id.value, name_of(array.state), succeeded, asked.count));
  }
}

void ArrayElementsOnce::see_batch() {
  for (const JobId id : std::exchange(changed_, {})) {
    const auto array = arrays_.find(id);
    if (array == arrays_.end()) {
      violated(fmt::format("elements of array {} are durable and it is not", id.value));
    } else {
      check(array->second);
    }
  }
}

void ArrayElementsOnce::see(const Happening& happening) {
  if (const auto* durable = std::get_if<JobDurable>(&happening)) {
    if (durable->job.array_parent.valid()) see_element(durable->job);
    if (is_array(durable->job)) {
      arrays_.insert_or_assign(durable->job.id, durable->job);
      changed_.insert(durable->job.id);
    }
  }
  if (std::holds_alternative<BatchDurable>(happening)) see_batch();
}

void PriorityHolds::see(const Happening& happening) {
  const auto check = [this](JobId job) {
    const auto asked = asked_.find(job);
    if (asked == asked_.end() || durable_[job] == asked->second) return;
    violated(fmt::format("job {} has priority {} after {} was acknowledged", job.value, durable_[job], asked->second));
  };
  if (const auto* durable = std::get_if<JobDurable>(&happening)) {
    durable_[durable->job.id] = jobs::priority_of(durable->job);
    check(durable->job.id);
  }
  const auto* answered = std::get_if<PriorityAcknowledged>(&happening);
  if (answered == nullptr) return;
  asked_[answered->job] = answered->priority;
  check(answered->job);
}

void OrderedNodesGetNothing::see(const Happening& happening) {
  // The longest commits: the one in flight and the one that gathered meanwhile.
  constexpr Duration kDecidedBefore = std::chrono::seconds(10);
  std::visit(Overloaded{[&](const NodeOrdered& h) {
                          if (h.state == exec::NodeState::kReady) {
                            since_.erase(h.node);
                          } else {
                            since_.emplace(h.node, clock_.monotonic_now());
                          }
                        },
                        [&](const JobDurable& h) {
                          AttemptNumber& seen = seen_[h.job.id];
                          if (!holds_ranks(h.job.state) || seen == h.job.attempt.number) return;
                          seen = h.job.attempt.number;
                          for (const jobs::RankStatus& rank : h.job.attempt.ranks) {
                            const auto since = since_.find(rank.node);
                            if (since == since_.end() || clock_.monotonic_now() <= since->second + kDecidedBefore) continue;
                            violated(fmt::format("job {} was launched on {}, which is not to be used", h.job.id.value, rank.node.text));
                          }
                        },
                        [](const auto&) {}},
             happening);
}

void DrainedNodesEmpty::see(const Happening& happening) {
  // The longest grace and lease, restarts of server and agent, and room for a few syncs and commits.
  constexpr Duration kSoon = std::chrono::seconds(90);
  std::visit(Overloaded{[&](const Healed&) {
                          healed_ = true;
                          for (auto& [node, since] : since_) since = clock_.monotonic_now();
                        },
                        [&](const NodeOrdered& h) {
                          if (h.state == exec::NodeState::kDraining) {
                            since_.emplace(h.node, clock_.monotonic_now());
                          } else {
                            since_.erase(h.node);
                          }
                        },
                        [&](const RankStarted& h) { running_[h.node].insert(h.rank); },
                        [&](const RankEnded& h) { running_[h.node].erase(h.rank); }, [](const auto&) {}},
             happening);
  if (!healed_) return;
  for (auto& [node, since] : since_) {
    if (running_[node].empty() || clock_.monotonic_now() <= since + kSoon) continue;
    violated(fmt::format("rank {} still runs on {}, which is drained", text_of(*running_[node].begin()), node.text));
    since = MonotonicPoint::max() - kSoon;
  }
}

void OnlyTheLeaderWrites::see(const Happening& happening) {
  if (const auto* started = std::get_if<ServerStarted>(&happening)) newest_ = started->life;
  const auto* batch = std::get_if<BatchDurable>(&happening);
  if (batch != nullptr && batch->life < newest_) {
    violated(fmt::format("server {} wrote after server {} had taken over", batch->life, newest_));
  }
}

void GangMeetsBeforeItStarts::see(const Happening& happening) {
  if (const auto* prepared = std::get_if<RankPrepared>(&happening)) ready_[prepared->rank.attempt].insert(prepared->rank.rank);
  if (const auto* durable = std::get_if<JobDurable>(&happening)) {
    const auto& ranks = durable->job.attempt.ranks;
    const auto elsewhere = [&](const jobs::RankStatus& rank) { return rank.node != ranks.front().node; };
    if (std::any_of(ranks.begin(), ranks.end(), elsewhere)) {
      size_[{durable->job.id, durable->job.attempt.number}] = static_cast<std::uint32_t>(ranks.size());
    }
  }
  const auto* started = std::get_if<RankStarted>(&happening);
  if (started == nullptr) return;
  const auto gang = size_.find(started->rank.attempt);
  if (gang == size_.end() || ready_[started->rank.attempt].size() == gang->second) return;
  violated(fmt::format("rank {} started when {} of {} ranks were ready", text_of(started->rank), ready_[started->rank.attempt].size(),
                       gang->second));
}

void PreemptionIsFree::see(const Happening& happening) {
  const auto* durable = std::get_if<JobDurable>(&happening);
  if (durable == nullptr) return;
  const jobs::Job& job = durable->job;
  if (job.state == JobState::kStopping) {
    const bool gives_way = job.intent == StopIntent::kPreempt || job.intent == StopIntent::kDrain;
    if (gives_way) {
      leaving_.emplace(job.id, job);
    } else {
      leaving_.erase(job.id);
    }
    return;
  }
  const auto left = leaving_.find(job.id);
  if (left == leaving_.end()) return;
  if (job.state == JobState::kQueued && charged(job) != charged(left->second)) {
    violated(fmt::format("job {} was charged for giving way", job.id.value));
  }
  leaving_.erase(left);
}

}  // namespace trainyard::sim_test
