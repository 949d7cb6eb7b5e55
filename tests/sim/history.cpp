#include "tests/sim/history.h"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

#include "base/file.h"

namespace trainyard::sim_test {

std::string text_of(const RankKey& rank) { return fmt::format("{}.{}/{}", rank.attempt.job.value, rank.attempt.attempt.value, rank.rank); }

namespace {

std::string job_text(const jobs::Job& job) {
  return fmt::format("job {} {} attempt {} intent {}", job.id.value, name_of(job.state), job.attempt.number.value, name_of(job.intent));
}

std::string event_text(const store::EventRecord& event) {
  return fmt::format("event {} job {} {} {}", event.number.value, event.job.value, event.type, event.body);
}

std::string_view ended_by_text(EndedBy by) {
  switch (by) {
    case EndedBy::kItself:
      return "";
    case EndedBy::kStop:
      return ", stopped";
    case EndedBy::kNode:
      return ", with its node";
  }
  return "";
}

}  // namespace

std::string text_of(const Happening& happening) {
  return std::visit(
      Overloaded{
          [](const SubmitAcknowledged& h) { return fmt::format("submit acknowledged: {} is job {}", h.key, h.job.value); },
          [](const CancelAcknowledged& h) { return fmt::format("cancel acknowledged: job {}", h.job.value); },
          [](const HoldAcknowledged& h) { return fmt::format("hold acknowledged: job {}", h.job.value); },
          [](const PriorityAcknowledged& h) { return fmt::format("priority acknowledged: job {} has {}", h.job.value, h.priority); },
          [](const NodeOrdered& h) { return fmt::format("node {} is to be {}", h.node.text, name_of(h.state)); },
          [](const JobShown& h) { return "shown: " + job_text(h.job); },
          [](const JobDurable& h) { return "durable: " + job_text(h.job); },
          [](const EventDurable& h) { return "durable: " + event_text(h.event); },
          [](const BatchDurable&) { return std::string("durable: end of batch"); },
          [](const EventPublished& h) { return "published: " + event_text(h.event); },
          [](const LinesAcknowledged& h) { return fmt::format("lines of {} acknowledged: {}", text_of(h.rank), h.count); },
          [](const NodeJoined& h) { return fmt::format("node {} has {}", h.node.text, h.capacity.text()); },
          [](const RankPrepared& h) { return fmt::format("rank {} is prepared", text_of(h.rank)); },
          [](const RankStarted& h) { return fmt::format("rank {} started on {}", text_of(h.rank), h.node.text); },
          [](const RankEnded& h) {
            return fmt::format("rank {} ended on {} with {}{}", text_of(h.rank), h.node.text, h.code, ended_by_text(h.by));
          },
          [](const StopReached& h) { return fmt::format("rank {} is told to stop", text_of(h.rank)); },
          [](const NodeTroubled& h) { return fmt::format("node {} is in trouble", h.node.text); },
          [](const OutputWritten& h) {
            return fmt::format("rank {} wrote {} lines and {} events", text_of(h.rank), h.log_lines, h.event_lines);
          },
          [](const LogDurable& h) { return fmt::format("durable: log of {} up to {}: {}", text_of(h.rank), h.end, h.line); },
          [](const LogAcknowledged& h) { return fmt::format("log of {} acknowledged up to {}", text_of(h.rank), h.end); },
          [](const LogShown& h) { return fmt::format("shown: log of {}: {}", text_of(h.rank), h.line); },
          [](const ServerStarted& h) { return fmt::format("server started after event {}", h.last_event.value); },
          [](const ServerKilled& h) { return "server killed " + h.where; },
          [](const Broken& h) { return "broken: " + h.what; },
          [](const Healed&) { return std::string("healed"); },
          [](const Finished&) { return std::string("finished"); },
      },
      happening);
}

History::History(std::uint64_t seed, const Clock& clock, std::vector<std::unique_ptr<Invariant>> invariants)
    : seed_(seed),
      clock_(clock),
      origin_(clock.monotonic_now()),
      print_(std::getenv("TRAINYARD_SIM_TRACE") != nullptr),
      invariants_(std::move(invariants)) {}

std::string History::time_text() const {
  const auto passed = (clock_.monotonic_now() - origin_).count();
  return fmt::format("{}.{:06}s", passed / 1'000'000, passed % 1'000'000);
}

void History::note(std::string_view line) {
  constexpr std::size_t kTail = 40;
  std::string text = fmt::format("{} {}\n", time_text(), line);
  trace_.update(as_bytes(text));
  if (print_) fmt::print(stderr, "{}", text);
  recent_.push_back(std::move(text));
  if (recent_.size() > kTail) recent_.pop_front();
}

void History::tell(const Happening& happening) {
  note(text_of(happening));
  for (const std::unique_ptr<Invariant>& invariant : invariants_) {
    invariant->see(happening);
    for (const std::string& what : invariant->take_violations()) {
      violations_.push_back(fmt::format("seed {} at {}: {}: {}", seed_, time_text(), invariant->name(), what));
      if (violations_.size() == 1) tail_.assign(recent_.begin(), recent_.end());
      note(violations_.back());
    }
  }
}

}  // namespace trainyard::sim_test
