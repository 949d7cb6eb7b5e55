#include "adapters/agent_pool/embedded_link.h"

#include <fmt/format.h>

#include <future>
#include <memory>

namespace trainyard::adapters::agent_pool {
namespace {

constexpr Duration kPatience = std::chrono::seconds(10);

/// Runs `call(done)` on the strand and waits for `done`, at most `wait`.
template <typename T, typename Call>
Result<T> ask_strand(Executor& strand, Duration wait, Call call) {
  auto promise = std::make_shared<std::promise<Result<T>>>();  // shared: the answer may come after the deadline
  std::future<Result<T>> future = promise->get_future();
  strand.post(
      [promise, call = std::move(call)]() mutable { call([promise](Result<T> result) { promise->set_value(std::move(result)); }); });
  if (future.wait_for(wait) != std::future_status::ready) return unavailable("link.timeout", "the server's strand did not answer in time");
  return future.get();
}

}  // namespace

Error fenced_attempt(const AttemptKey& attempt) {
  return {Category::kAborted,
          "lease.fenced",
          fmt::format("attempt {} of job {} is not the current one", attempt.attempt.value, attempt.job.value),
          {},
          {}};
}

Result<exec::DesiredState> EmbeddedLink::sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait) {
  return ask_strand<exec::DesiredState>(deps_.strand, wait + kPatience, [this, observation, seen_version, wait](AgentPool::SyncDone done) {
    // Read on the strand: either this sync does not wait, or the release that follows the interrupt finds it waiting.
    deps_.pool.sync(observation, seen_version, interrupted_ ? Duration(0) : wait, std::move(done));
  });
}

void EmbeddedLink::interrupt() {
  interrupted_ = true;
  deps_.strand.post([this] { deps_.pool.release_waiting(); });
}

Result<std::uint64_t> EmbeddedLink::log_end(const RankKey& rank) { return deps_.logs.end_offset(rank); }

Result<std::uint64_t> EmbeddedLink::append_log(const RankKey& rank, std::uint64_t offset, std::string_view encoded) {
  if (!deps_.pool.holds(rank.attempt)) return fenced_attempt(rank.attempt);
  ASSIGN_OR_RETURN(const std::uint64_t end, deps_.logs.append(rank, offset, encoded));
  TRY(deps_.logs.sync(rank));
  return end;
}

Result<std::uint64_t> EmbeddedLink::events_end(const RankKey& rank) {
  return ask_strand<std::uint64_t>(deps_.strand, kPatience, [this, rank](auto done) { done(deps_.events.taken(rank)); });
}

Result<std::uint64_t> EmbeddedLink::append_events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) {
  return ask_strand<std::uint64_t>(deps_.strand, kPatience, [this, rank, first, lines](std::function<void(Result<std::uint64_t>)> done) {
    deps_.events.append(rank, first, lines, std::move(done));
  });
}

}  // namespace trainyard::adapters::agent_pool
