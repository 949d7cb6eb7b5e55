#include "agent/shipper.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/failpoint.h"

namespace trainyard::agent {
namespace {

constexpr std::size_t kBatchBytes = 256 * 1024;

bool is_damage(const Error& error) { return error.category == Category::kInvalidArgument || error.category == Category::kDataLoss; }

/// The whole lines at the start of `bytes`.
std::vector<std::string> whole_lines(std::string_view bytes, std::size_t& consumed) {
  std::vector<std::string> lines;
  consumed = 0;
  for (std::size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n', consumed)) {
    lines.emplace_back(bytes.substr(consumed, end - consumed));
    consumed = end + 1;
  }
  return lines;
}

}  // namespace

Result<Shipper::Outcome> Shipper::ship(const NodeState::ShipWork& work) {
  FAILPOINT("agent.before_ship");
  const auto [found, made] = progress_.try_emplace(work.rank);
  Progress& progress = found->second;
  if (made) progress.mark = spool_.shipped_mark(work.rank);
  Outcome outcome;
  for (const Result<void>& shipped : {ship_log(work, progress), ship_events(work, progress)}) {
    if (shipped.ok()) continue;
    progress.log_end.reset();
    progress.events_taken.reset();
    if (is_damage(shipped.error())) {
      outcome.damage = shipped.error();
    } else if (shipped.error().id == "lease.fenced") {
      outcome.fenced = true;
    } else {
      return shipped.error();
    }
  }
  outcome.mark = progress.mark;
  if (work.exited || outcome.fenced || outcome.damage) progress_.erase(found);
  FAILPOINT("agent.after_ship");
  return outcome;
}

Result<void> Shipper::ship_log(const NodeState::ShipWork& work, Progress& progress) {
  if (progress.mark.log_size >= work.log_size) return {};
  if (!progress.log_end) {
    ASSIGN_OR_RETURN(progress.log_end, link_.log_end(work.rank));
  }
  while (*progress.log_end < work.log_size) {
    const std::uint64_t end = *progress.log_end;
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(kBatchBytes, work.log_size - end));
    ASSIGN_OR_RETURN(std::string bytes, spool_.read_log(work.rank, end, size));
    bytes.resize(exec::whole_log_records(bytes));
    FAILPOINT("agent.after_log_read");
    if (bytes.empty())
      return data_loss("spool.corrupt", fmt::format("no whole log record at offset {} of rank {}", end, exec::text_of(work.rank)));
    ASSIGN_OR_RETURN(progress.log_end, link_.append_log(work.rank, end, bytes));
    FAILPOINT("agent.after_log_ack");
  }
  progress.mark.log_size = *progress.log_end;
  return {};
}

Result<void> Shipper::ship_events(const NodeState::ShipWork& work, Progress& progress) {
  exec::ShippedMark& mark = progress.mark;
  if (mark.events_size >= work.events_size) return {};
  if (!progress.events_taken) {
    ASSIGN_OR_RETURN(progress.events_taken, link_.events_end(work.rank));
  }
  while (mark.events_size < work.events_size) {
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(kBatchBytes, work.events_size - mark.events_size));
    ASSIGN_OR_RETURN(const std::string bytes, spool_.read_events(work.rank, mark.events_size, size));
    std::size_t consumed = 0;
    std::vector<std::string> lines = whole_lines(bytes, consumed);
    if (lines.empty())
      return data_loss("spool.corrupt",
                       fmt::format("no whole event line at offset {} of rank {}", mark.events_size, exec::text_of(work.rank)));
    const std::uint64_t after = mark.event_lines + lines.size();
    FAILPOINT("agent.after_events_read");
    if (*progress.events_taken < after) {
      const std::uint64_t known = std::max(*progress.events_taken, mark.event_lines) - mark.event_lines;
      lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(known));
      ASSIGN_OR_RETURN(progress.events_taken, link_.append_events(work.rank, mark.event_lines + known, lines));
      FAILPOINT("agent.after_events_ack");
    }
    mark.event_lines = after;
    mark.events_size += consumed;
  }
  return {};
}

}  // namespace trainyard::agent
