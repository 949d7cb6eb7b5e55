#include "tests/sim/invariants.h"

#include <fmt/format.h>

#include <tuple>
#include <utility>

#include "tests/sim/control_invariants.h"

namespace trainyard::sim_test {
namespace {

bool holds_ranks(JobState state) { return state == JobState::kStarting || state == JobState::kRunning || state == JobState::kStopping; }

/// How far a job has come: grows with every step of its life.
std::pair<std::uint32_t, int> progress_of(const jobs::Job& job) {
  switch (job.state) {
    case JobState::kStarting:
      return {job.attempt.number.value, 1};
    case JobState::kRunning:
      return {job.attempt.number.value, 2};
    case JobState::kStopping:
      return {job.attempt.number.value, 3};
    case JobState::kQueued:
      return {job.attempt.number.value, is_array(job) ? 0 : 4};
    case JobState::kSucceeded:
    case JobState::kFailed:
    case JobState::kCancelled:
    case JobState::kTimedOut:
      return {job.attempt.number.value, 5};
  }
  return {};
}

Document body_of(const store::EventRecord& event) {
  Result<Document> body = parse_json(event.body);
  return body.ok() ? std::move(body).value() : Document();
}

}  // namespace

std::vector<std::unique_ptr<Invariant>> all_invariants(const Clock& clock) {
  std::vector<std::unique_ptr<Invariant>> all;
  all.push_back(std::make_unique<NoAcknowledgedJobLost>());
  all.push_back(std::make_unique<AcknowledgedCancelHolds>());
  all.push_back(std::make_unique<NothingShownIsUndone>());
  all.push_back(std::make_unique<OneTerminalState>());
  all.push_back(std::make_unique<LegalTransitions>());
  all.push_back(std::make_unique<TokensGrow>());
  all.push_back(std::make_unique<GangAtomic>());
  all.push_back(std::make_unique<FailedGangIsReleased>(clock));
  all.push_back(std::make_unique<LimitsAndBudgetsHold>(clock));
  all.push_back(std::make_unique<NoDoubleBooking>());
  all.push_back(std::make_unique<EventNumbersGapless>());
  all.push_back(std::make_unique<NothingPublishedByStaleAttempt>());
  all.push_back(std::make_unique<LogLinesOnceAndInOrder>());
  all.push_back(std::make_unique<EndedRanksHaveTheirOutput>());
  all.push_back(std::make_unique<HealthyRanksAreLeftAlone>());
  all.push_back(std::make_unique<OnlyTroubledNodesLoseRanks>(clock));
  all.push_back(std::make_unique<RestartsHaveCauses>());
  all.push_back(std::make_unique<EveryJobEndsOnceFaultsStop>());
  all.push_back(std::make_unique<NothingBroken>());
  for (std::unique_ptr<Invariant>& one : control_invariants(clock)) all.push_back(std::move(one));
  return all;
}

void NoAcknowledgedJobLost::see(const Happening& happening) {
  if (const auto* durable = std::get_if<JobDurable>(&happening)) durable_.insert(durable->job.id);
  const auto* submit = std::get_if<SubmitAcknowledged>(&happening);
  if (submit == nullptr) return;
  if (!durable_.contains(submit->job)) violated(fmt::format("job {} was acknowledged and is not durable", submit->job.value));
  const auto [known, fresh] = answered_.emplace(submit->key, submit->job);
  if (!fresh && known->second != submit->job) {
    violated(fmt::format("{} was job {} and is now job {}", submit->key, known->second.value, submit->job.value));
  }
}

void AcknowledgedCancelHolds::see(const Happening& happening) {
  std::visit(Overloaded{[&](const JobDurable& h) { durable_.insert_or_assign(h.job.id, h.job); },
                        [&](const CancelAcknowledged& h) {
                          const auto job = durable_.find(h.job);
                          const bool ending =
                              job != durable_.end() && (is_terminal(job->second.state) || job->second.intent == StopIntent::kCancel ||
                                                        job->second.intent == StopIntent::kLimit);
                          if (!ending) violated(fmt::format("the cancel of job {} was acknowledged and is not durable", h.job.value));
                          cancelled_.insert(h.job);
                        },
                        [&](const EventDurable& h) {
                          if (h.event.type == "launching" && cancelled_.contains(h.event.job)) {
                            violated(fmt::format("job {} was launched after its cancel was acknowledged", h.event.job.value));
                          }
                        },
                        [](const auto&) {}},
             happening);
}

void NothingShownIsUndone::see(const Happening& happening) {
  if (const auto* durable = std::get_if<JobDurable>(&happening)) durable_.insert_or_assign(durable->job.id, durable->job);
  const auto* shown = std::get_if<JobShown>(&happening);
  if (shown == nullptr) return;
  const auto stored = durable_.find(shown->job.id);
  if (stored == durable_.end()) return violated(fmt::format("job {} was shown and is not durable", shown->job.id.value));
  const bool ahead = progress_of(shown->job) > progress_of(stored->second);
  const bool other_end = is_terminal(shown->job.state) && shown->job.state != stored->second.state;
  if (ahead || other_end) {
    violated(fmt::format("job {} was shown {} in attempt {}, durable is {} in attempt {}", shown->job.id.value, name_of(shown->job.state),
                         shown->job.attempt.number.value, name_of(stored->second.state), stored->second.attempt.number.value));
  }
}

void OneTerminalState::see(const Happening& happening) {
  if (const auto* durable = std::get_if<JobDurable>(&happening)) {
    const jobs::Job& job = durable->job;
    const auto ended = ended_.find(job.id);
    if (ended != ended_.end() && ended->second != jobs::encode_job(job))
      violated(fmt::format("job {} changed after its end", job.id.value));
    if (is_terminal(job.state)) ended_.emplace(job.id, jobs::encode_job(job));
  }
  const auto* told = std::get_if<EventDurable>(&happening);
  if (told == nullptr) return;
  if (ended_by_event_.contains(told->event.job))
    violated(fmt::format("job {} has an event after its end: {}", told->event.job.value, told->event.type));
  const std::optional<JobState> state = job_state_from(body_of(told->event)["state"].text());
  if (state && is_terminal(*state)) ended_by_event_.insert(told->event.job);
}

void LegalTransitions::see_event(const store::EventRecord& event) {
  using S = JobState;
  static const std::set<std::pair<S, S>> kEdges{
      {S::kQueued, S::kStarting},   {S::kQueued, S::kCancelled},   {S::kQueued, S::kTimedOut},   {S::kStarting, S::kRunning},
      {S::kStarting, S::kStopping}, {S::kStarting, S::kSucceeded}, {S::kStarting, S::kFailed},   {S::kStarting, S::kQueued},
      {S::kRunning, S::kStopping},  {S::kRunning, S::kSucceeded},  {S::kRunning, S::kFailed},    {S::kRunning, S::kQueued},
      {S::kStopping, S::kQueued},   {S::kStopping, S::kCancelled}, {S::kStopping, S::kTimedOut}, {S::kStopping, S::kSucceeded}};
  const std::optional<S> next = job_state_from(body_of(event)["state"].text());
  if (!next) return violated(fmt::format("event {} names no state", event.number.value));
  const auto [known, fresh] = state_.emplace(event.job, *next);
  if (fresh) {
    if (*next != S::kQueued || event.type != "submitted") violated(fmt::format("job {} begins with {}", event.job.value, event.type));
    return;
  }
  const S before = std::exchange(known->second, *next);
  // An array runs when an element does, and stops or ends with its elements.
  static const std::set<std::pair<S, S>> kEdgesOfArrays{
      {S::kQueued, S::kRunning}, {S::kQueued, S::kStopping}, {S::kQueued, S::kFailed}, {S::kRunning, S::kCancelled}};
  if (before != *next && kEdgesOfArrays.contains({before, *next})) {
    like_an_array_.insert(event.job);
  } else if (before != *next && !kEdges.contains({before, *next})) {
    violated(fmt::format("job {} went from {} to {}", event.job.value, name_of(before), name_of(*next)));
  }
}

void LegalTransitions::see(const Happening& happening) {
  if (const auto* told = std::get_if<EventDurable>(&happening)) see_event(told->event);
  if (std::holds_alternative<BatchDurable>(happening)) {
    for (const JobId job : std::exchange(like_an_array_, {})) violated(fmt::format("job {} changed as only arrays do", job.value));
  }
  const auto* durable = std::get_if<JobDurable>(&happening);
  if (durable == nullptr) return;
  if (is_array(durable->job)) like_an_array_.erase(durable->job.id);
  const auto told = state_.find(durable->job.id);
  if (told == state_.end() || told->second != durable->job.state) {
    violated(fmt::format("job {} is {} without an event that says so", durable->job.id.value, name_of(durable->job.state)));
  }
}

void TokensGrow::see_start(const RankStarted& start) {
  const JobId job = start.rank.attempt.job;
  const std::uint32_t attempt = start.rank.attempt.attempt.value;
  if (launched_[job] < attempt) violated(fmt::format("rank {} started before its launch was durable", text_of(start.rank)));
  std::uint32_t& newest = started_[job];
  if (attempt < newest) violated(fmt::format("rank {} started after attempt {}", text_of(start.rank), newest));
  newest = std::max(newest, attempt);
  if (!ran_.insert(start.rank).second) violated(fmt::format("rank {} started twice", text_of(start.rank)));
}

void TokensGrow::see(const Happening& happening) {
  std::visit(Overloaded{[&](const EventDurable& h) {
                          if (h.event.type != "launching") return;
                          const std::int64_t attempt = body_of(h.event).int_or("attempt", 0).value_or(0);
                          std::int64_t& last = launched_[h.event.job];
                          if (attempt != last + 1) violated(fmt::format("job {}: attempt {} follows {}", h.event.job.value, attempt, last));
                          last = attempt;
                        },
                        [&](const RankStarted& h) { see_start(h); }, [](const auto&) {}},
             happening);
}

void GangAtomic::see(const Happening& happening) {
  if (const auto* ended = std::get_if<RankEnded>(&happening)) codes_.insert_or_assign(ended->rank, ended->code);
  const auto* durable = std::get_if<JobDurable>(&happening);
  if (durable == nullptr) return;
  const jobs::Job& job = durable->job;
  if (is_array(job)) return;
  if (holds_ranks(job.state) && job.attempt.ranks.size() != static_cast<std::size_t>(job.spec.tasks)) {
    violated(fmt::format("job {} has {} of {} ranks", job.id.value, job.attempt.ranks.size(), job.spec.tasks));
  }
  if (job.state != JobState::kSucceeded) return;
  for (std::uint32_t rank = 0; rank < static_cast<std::uint32_t>(job.spec.tasks); ++rank) {
    const auto code = codes_.find({{job.id, job.attempt.number}, rank});
    if (code == codes_.end() || code->second != 0)
      violated(fmt::format("job {} succeeded though rank {} did not end well", job.id.value, rank));
  }
}

void FailedGangIsReleased::check_deadlines() {
  for (auto& [attempt, gang] : gangs_) {
    if (gang.failed.empty() || gang.running.empty() || clock_.monotonic_now() <= gang.release_by) continue;
    violated(fmt::format("rank {} still runs long after its gang failed", text_of(*gang.running.begin())));
    gang.failed.clear();
  }
}

void FailedGangIsReleased::see(const Happening& happening) {
  // The longest grace and lease, a restart of the server, and room for a few syncs and commits.
  constexpr Duration kSoon = std::chrono::seconds(60);
  std::visit(Overloaded{[&](const Healed&) {
                          healed_ = true;
                          for (auto& [attempt, gang] : gangs_) gang.release_by = clock_.monotonic_now() + kSoon;
                        },
                        [&](const RankStarted& h) { gangs_[h.rank.attempt].running.insert(h.rank); },
                        [&](const RankEnded& h) {
                          Gang& gang = gangs_[h.rank.attempt];
                          gang.running.erase(h.rank);
                          if (h.code == 0) return;
                          if (gang.failed.empty()) gang.release_by = clock_.monotonic_now() + kSoon;
                          gang.failed.insert(h.rank);
                        },
                        [](const auto&) {}},
             happening);
  if (healed_) check_deadlines();
}

void LimitsAndBudgetsHold::see_job(const jobs::Job& job) {
  const jobs::RetryCounts& used = job.retries;
  const RetryBudgets& allowed = job.spec.retry;
  const bool spent_too_much = used.user > allowed.user || used.oom > allowed.oom || used.node_lost > allowed.node_lost ||
                              used.infrastructure > allowed.infrastructure;
  if (spent_too_much && job.spec.job_class == "batch") violated(fmt::format("job {} was restarted more often than allowed", job.id.value));

  // The grace, and room for a few syncs and commits.
  constexpr Duration kSlack = std::chrono::seconds(60);
  if (job.spec.limits.attempt <= Duration(0) || is_array(job)) return;
  if (!holds_ranks(job.state)) {
    limited_.erase(job.id);
  } else if (const auto known = limited_.find(job.id); known == limited_.end() || known->second.number != job.attempt.number) {
    limited_[job.id] = {job.attempt.number, clock_.monotonic_now() + job.spec.limits.attempt + kSlack};
  }
}

void LimitsAndBudgetsHold::see(const Happening& happening) {
  if (const auto* durable = std::get_if<JobDurable>(&happening)) see_job(durable->job);
  if (std::holds_alternative<Healed>(happening)) checked_from_ = clock_.monotonic_now() + std::chrono::seconds(90);
  if (!checked_from_ || clock_.monotonic_now() < *checked_from_) return;
  for (auto& [job, attempt] : limited_) {
    if (clock_.monotonic_now() <= attempt.overdue) continue;
    violated(fmt::format("attempt {} of job {} goes on long after its limit", attempt.number.value, job.value));
    attempt.overdue = MonotonicPoint::max();
  }
}

void NoDoubleBooking::book(const jobs::Job& job) {
  booked_.erase(job.id);
  if (!holds_ranks(job.state)) return;
  for (const jobs::RankStatus& rank : job.attempt.ranks) {
    if (rank.phase != jobs::RankStatus::Phase::kExited) booked_[job.id][rank.node] += job.spec.resources.resources();
  }
}

void NoDoubleBooking::check_bookings() {
  std::map<NodeName, Resources> total;
  for (const auto& [job, by_node] : booked_) {
    for (const auto& [node, resources] : by_node) total[node] += resources;
  }
  for (const auto& [node, resources] : total) {
    if (!resources.fits_in(capacity_[node])) violated(fmt::format("{} is booked with {}", node.text, resources.text()));
  }
}

void NoDoubleBooking::see(const Happening& happening) {
  std::visit(Overloaded{[&](const NodeJoined& h) { capacity_[h.node] = h.capacity; }, [&](const JobDurable& h) { book(h.job); },
                        [&](const BatchDurable&) { check_bookings(); },
                        [&](const RankStarted& h) {
                          running_[h.node][h.rank] = h.resources;
                          Resources total;
                          for (const auto& [rank, resources] : running_[h.node]) total += resources;
                          if (!total.fits_in(capacity_[h.node])) violated(fmt::format("{} runs {}", h.node.text, total.text()));
                        },
                        [&](const RankEnded& h) { running_[h.node].erase(h.rank); }, [](const auto&) {}},
             happening);
}

void EventNumbersGapless::see(const Happening& happening) {
  std::visit(Overloaded{[&](const EventDurable& h) {
                          if (h.event.number.value != ++durable_)
                            violated(fmt::format("event {} came as number {}", h.event.number.value, durable_));
                          durable_ = h.event.number.value;
                        },
                        [&](const ServerStarted& h) {
                          newest_ = h.life;
                          published_[h.life] = h.last_event.value;
                        },
                        [&](const EventPublished& h) {
                          const std::uint64_t number = h.event.number.value;
                          std::uint64_t& last = published_[h.life];
                          if (number != last + 1) violated(fmt::format("event {} was published after {}", number, last));
                          if (number > durable_) violated(fmt::format("event {} was published before it was durable", number));
                          last = number;
                        },
                        [&](const Finished&) {
                          if (published_[newest_] == durable_) return;
                          violated(fmt::format("event {} is durable, the last published is {}", durable_, published_[newest_]));
                        },
                        [](const auto&) {}},
             happening);
}

void NothingPublishedByStaleAttempt::see_event(const store::EventRecord& event) {
  const Document body = body_of(event);
  if (event.type == "launching") newest_[event.job] = body.int_or("attempt", 0).value_or(0);
  if (event.type != "checkpoint") return;
  // The manifest names its writer: "7.2/0#3" is the third line of rank 0 of attempt 2 of job 7.
  const std::string& manifest = body["manifest"].text();
  const std::string rank = manifest.substr(0, manifest.find('#'));
  const std::string newest = fmt::format("{}.{}/", event.job.value, newest_[event.job]);
  if (!rank.starts_with(newest)) violated(fmt::format("{} wrote while attempt {} was the newest", manifest, newest_[event.job]));
  const std::uint64_t line = ++lines_[rank];
  if (manifest != fmt::format("{}#{}", rank, line)) violated(fmt::format("{} came as line {}", manifest, line));
}

void NothingPublishedByStaleAttempt::see(const Happening& happening) {
  if (const auto* told = std::get_if<EventDurable>(&happening)) see_event(told->event);
  if (const auto* log = std::get_if<LogDurable>(&happening)) {
    const std::int64_t newest = newest_[log->rank.attempt.job];
    if (log->rank.attempt.attempt.value < newest) violated(fmt::format("{} was logged while attempt {} was the newest", log->line, newest));
  }
  const auto* acknowledged = std::get_if<LinesAcknowledged>(&happening);
  if (acknowledged == nullptr) return;
  const std::uint64_t durable = lines_[text_of(acknowledged->rank)];
  if (acknowledged->count > durable) {
    violated(fmt::format("{} lines of {} were acknowledged, durable are {}", acknowledged->count, text_of(acknowledged->rank), durable));
  }
}

void LogLinesOnceAndInOrder::see_line(std::map<RankKey, std::uint64_t>& lines, const RankKey& rank, const std::string& line) {
  // The line names its writer: "7.2/0#3" is the third line of rank 0 of attempt 2 of job 7.
  const std::uint64_t number = ++lines[rank];
  if (line != fmt::format("{}#{}", text_of(rank), number)) violated(fmt::format("{} came as line {} of {}", line, number, text_of(rank)));
}

void LogLinesOnceAndInOrder::see(const Happening& happening) {
  std::visit(
      Overloaded{[&](const LogDurable& h) {
                   see_line(durable_, h.rank, h.line);
                   ends_[h.rank] = h.end;
                 },
                 [&](const LogShown& h) { see_line(shown_, h.rank, h.line); },
                 [&](const LogAcknowledged& h) {
                   if (h.end <= ends_[h.rank]) return;
                   violated(fmt::format("the log of {} was acknowledged up to {}, durable are {}", text_of(h.rank), h.end, ends_[h.rank]));
                 },
                 [](const auto&) {}},
      happening);
}

void EndedRanksHaveTheirOutput::see_job(const jobs::Job& job) {
  for (std::uint32_t i = 0; i < job.attempt.ranks.size(); ++i) {
    const jobs::RankStatus& rank = job.attempt.ranks[i];
    if (!rank.exit || rank.exit->lost) continue;
    const RankKey key{{job.id, job.attempt.number}, i};
    const Output written = written_[key];
    if (written.log_lines != kept_[key]) {
      violated(fmt::format("the end of rank {} is durable with {} of its {} log lines", text_of(key), kept_[key], written.log_lines));
    }
    if (written.event_lines != rank.events_taken) {
      violated(fmt::format("the end of rank {} is durable with {} of its {} events", text_of(key), rank.events_taken, written.event_lines));
    }
  }
}

void EndedRanksHaveTheirOutput::see(const Happening& happening) {
  std::visit(Overloaded{[&](const OutputWritten& h) {
                          written_[h.rank] = {h.log_lines, h.event_lines};
                        },
                        [&](const LogDurable& h) { ++kept_[h.rank]; }, [&](const JobDurable& h) { see_job(h.job); }, [](const auto&) {}},
             happening);
}

void HealthyRanksAreLeftAlone::see(const Happening& happening) {
  if (const auto* durable = std::get_if<JobDurable>(&happening)) durable_.insert_or_assign(durable->job.id, durable->job);
  const auto* stop = std::get_if<StopReached>(&happening);
  if (stop == nullptr) return;
  const auto found = durable_.find(stop->rank.attempt.job);
  if (found == durable_.end()) return violated(fmt::format("rank {} was stopped and its job is not durable", text_of(stop->rank)));
  const jobs::Job& job = found->second;
  const bool current = job.attempt.number == stop->rank.attempt.attempt && holds_ranks(job.state);
  if (!current || job.intent != StopIntent::kNone) return;
  for (const jobs::RankStatus& rank : job.attempt.ranks) {
    if (rank.exit && (rank.exit->code != 0 || rank.exit->lost)) return;
  }
  violated(fmt::format("rank {} was stopped though nothing durable says so", text_of(stop->rank)));
}

void OnlyTroubledNodesLoseRanks::see_job(const jobs::Job& job) {
  // A lease after a restart, a long commit and a node that was just cut off.
  constexpr Duration kRecently = std::chrono::seconds(60);
  for (std::uint32_t i = 0; i < job.attempt.ranks.size(); ++i) {
    const jobs::RankStatus& rank = job.attempt.ranks[i];
    const RankKey key{{job.id, job.attempt.number}, i};
    if (!rank.exit || !rank.exit->lost || !running_.contains(key) || !told_.insert(key).second) continue;
    const auto trouble = trouble_.find(rank.node);
    if (trouble != trouble_.end() && clock_.monotonic_now() <= trouble->second + kRecently) continue;
    violated(fmt::format("rank {} was lost and runs well on {}", text_of(key), rank.node.text));
  }
}

void OnlyTroubledNodesLoseRanks::see(const Happening& happening) {
  std::visit(Overloaded{[&](const RankStarted& h) { running_.insert(h.rank); }, [&](const RankEnded& h) { running_.erase(h.rank); },
                        [&](const NodeTroubled& h) { trouble_[h.node] = clock_.monotonic_now(); },
                        [&](const JobDurable& h) { see_job(h.job); }, [](const auto&) {}},
             happening);
}

void RestartsHaveCauses::see(const Happening& happening) {
  if (const auto* ended = std::get_if<RankEnded>(&happening); ended != nullptr && ended->by == EndedBy::kItself) {
    own_ends_[ended->rank.attempt.job].insert(ended->rank.attempt.attempt);
    if (ended->code != 0) own_failures_[ended->rank.attempt.job].insert(ended->rank.attempt.attempt);
  }
  const auto* durable = std::get_if<JobDurable>(&happening);
  if (durable == nullptr) return;
  const jobs::Job& job = durable->job;
  if (is_array(job)) return;
  const auto& causes = job.spec.job_class == "service" ? own_ends_[job.id] : own_failures_[job.id];
  const std::int64_t charged = job.retries.user + job.retries.oom + job.retries.infrastructure;
  if (charged > static_cast<std::int64_t>(causes.size())) {
    violated(fmt::format("job {} was charged {} restarts for {} failures of its own", job.id.value, charged, causes.size()));
  }
  if (job.state == JobState::kFailed && !causes.contains(job.attempt.number)) {
    violated(fmt::format("job {} failed though no rank of attempt {} failed by itself", job.id.value, job.attempt.number.value));
  }
}

void EveryJobEndsOnceFaultsStop::see(const Happening& happening) {
  std::visit(Overloaded{[&](const JobDurable& h) { state_[h.job.id] = h.job.state; },
                        [&](const RankStarted& h) { running_.insert(h.rank); }, [&](const RankEnded& h) { running_.erase(h.rank); },
                        [&](const Finished&) {
                          for (const auto& [job, state] : state_) {
                            if (!is_terminal(state)) violated(fmt::format("job {} is still {}", job.value, name_of(state)));
                          }
                          for (const RankKey& rank : running_) violated(fmt::format("rank {} still runs", text_of(rank)));
                        },
                        [](const auto&) {}},
             happening);
}

void NothingBroken::see(const Happening& happening) {
  if (const auto* broken = std::get_if<Broken>(&happening)) violated(broken->what);
}

}  // namespace trainyard::sim_test
