#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "jobs/testing/service_world.h"

namespace trainyard::jobs::testing {

/// Random lives of many jobs in one JobService, with crashes before and after commits, and what must hold whatever happened.
class ServiceWalk : public ServiceWorld {
 protected:
  void begin(std::uint64_t seed) {
    rng.emplace(seed);
    final_texts.clear();
  }
  std::uint64_t below(std::uint64_t bound) { return rng->below(bound); }

  /// One thing that somebody does, or a crash around it.
  void step() {
    take_calls();
    if (below(12) == 0) {
      crash_around_a_change();
    } else {
      change();
      strand.run_ready();
    }
    read_all();
    check_launches();
  }

  void change() {
    switch (below(9)) {
      case 0:
      case 1:
        return submit_something();
      case 2:
        return service->stop(any_job(), any_intent(), "walk", [](const Result<void>&) {});
      case 3:
        return service->hold(any_job(), "walk", [](const Result<void>&) {});
      case 4:
        return service->release(any_job(), "walk", [](const Result<void>&) {});
      case 5:
        return service->set_priority(any_job(), static_cast<std::int64_t>(below(5)), "walk", [](const Result<void>&) {});
      case 6:
        strand.advance(Duration(static_cast<std::int64_t>(below(5'000'000))));
        return;
      default:
        return tell_of_a_rank();
    }
  }

  void submit_something() {
    Submission made = submission(static_cast<std::int64_t>(1 + below(4)), static_cast<std::int64_t>(1 + below(2)));
    made.spec.retry = {.user = static_cast<std::int64_t>(below(2)), .oom = 1, .node_lost = 2, .backoff_cap = Duration(2'000'000)};
    made.spec.hold = below(8) == 0;
    if (below(3) == 0) made.spec.array = JobArray{static_cast<std::int64_t>(1 + below(12)), static_cast<std::int64_t>(below(4))};
    constexpr const char* kWhen[] = {"ok", "any", "failed"};
    std::set<std::int64_t> named;
    for (std::uint64_t i = 0; i < below(3) && !jobs.empty(); ++i) {
      const auto id = static_cast<std::int64_t>(any_job().value);
      if (named.insert(id).second) made.spec.after.push_back({id, kWhen[below(3)]});
    }
    made.ended_dependencies = ended_states(ledger, service->dependencies_to_look_up(made.spec)).value();
    service->submit(std::move(made), [](const Result<JobId>& id) { EXPECT_TRUE(id.ok()) << id.error().describe(); });
  }

  void tell_of_a_rank() {
    std::vector<RankKey> ranks;
    for (const auto& [id, job] : jobs) {
      if (is_terminal(job.state) || job.state == JobState::kQueued) continue;
      for (std::uint32_t i = 0; i < job.attempt.ranks.size(); ++i) {
        if (job.attempt.ranks[i].phase != RankStatus::Phase::kExited) ranks.push_back({{id, job.attempt.number}, i});
      }
    }
    if (ranks.empty()) return;
    const RankKey chosen = ranks[below(ranks.size())];
    if (below(3) == 0) return service->on_rank_running(chosen, clock.now());
    if (below(8) == 0) return service->on_ranks_lost({chosen}, "walk");
    constexpr int kCodes[] = {0, 0, 0, 0, 1, 64, 75};
    exec::RankExit exit = exit_with(kCodes[below(std::size(kCodes))]);
    exit.ended_at = clock.now();
    exit.oom = below(10) == 0;
    service->on_rank_exited(chosen, exit);
  }

  /// The process ends while a commit waits, which had become durable or not; meanwhile more had been asked for.
  void crash_around_a_change() {
    ledger.hold_commits();
    for (std::uint64_t i = 0; i <= below(3); ++i) {
      change();
      if (below(2) == 0) strand.run_ready();
    }
    strand.run_ready();
    if (below(2) == 0) {
      ledger.lose_answer();
    } else {
      ledger.lose_waiting();
    }
    crash();
    ledger.stop_holding();
    boot();
  }

  /// All jobs as the ledger has them.
  void read_all() {
    jobs.clear();
    const std::vector<store::JobRecord> records = ledger.list(JobId(), 100'000).value();
    for (const store::JobRecord& record : records) jobs.emplace(record.id, decode_job(record.body).value());
    for (const store::JobRecord& record : records) {
      const bool ended_now = is_terminal(jobs.at(record.id).state);
      EXPECT_EQ(record.live, !ended_now);
      if (!ended_now) continue;
      EXPECT_EQ(final_texts.emplace(record.id, record.body).first->second, record.body) << "an ended job changed";
    }
  }

  void check_launches() {
    for (const std::string& call : backend.calls) {
      if (!call.starts_with("launch ")) continue;
      const Job& launched = jobs.at(JobId(std::stoull(call.substr(7))));
      EXPECT_FALSE(is_array(launched));
      EXPECT_TRUE(launched.waits_for.empty()) << call;
      const auto parent = jobs.find(launched.array_parent);
      EXPECT_FALSE(launched.hold || (parent != jobs.end() && parent->second.hold)) << call << " though it is held";
    }
  }

  JobId any_job() { return jobs.empty() ? JobId(1) : JobId(1 + below(jobs.size())); }
  StopIntent any_intent() {
    constexpr StopIntent kIntents[] = {StopIntent::kCancel, StopIntent::kPreempt, StopIntent::kDrain, StopIntent::kPreempt};
    return kIntents[below(4)];
  }

  /// Releases everything and lets all that runs succeed, for a bounded time.
  void bring_to_an_end() {
    for (int round = 0; round < 3000; ++round) {
      read_all();
      bool all_ended = true;
      for (const auto& [id, job] : jobs) {
        if (is_terminal(job.state)) continue;
        all_ended = false;
        if (job.hold) service->release(id, "walk", [](const Result<void>&) {});
        for (std::uint32_t i = 0; i < job.attempt.ranks.size(); ++i) {
          if (job.attempt.ranks[i].phase != RankStatus::Phase::kExited) {
            service->on_rank_exited({{id, job.attempt.number}, i}, exit_with(0));
          }
        }
      }
      if (all_ended) return;
      strand.advance(Duration(1'000'000));
    }
    for (const auto& [id, job] : jobs) {
      EXPECT_TRUE(is_terminal(job.state)) << "job " << id.text() << " never ended: " << name_of(job.state) << ", " << job.reason;
    }
  }

  std::optional<SeededRng> rng;
  std::map<JobId, Job> jobs;                 ///< As of the last read.
  std::map<JobId, std::string> final_texts;  ///< Of ended jobs.
};

}  // namespace trainyard::jobs::testing
