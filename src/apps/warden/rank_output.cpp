#include "apps/warden/rank_output.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/failpoint.h"

namespace trainyard::warden {
namespace {

constexpr std::size_t kReadMax = 64 * 1024;
/// How many bytes must have been shipped since the last time before space is given back.
constexpr std::uint64_t kReleaseStep = std::uint64_t{8} << 20;
constexpr std::size_t kEventsPipe = 2;

std::uint8_t stream_of(std::size_t pipe) { return pipe == 0 ? exec::kStdoutStream : exec::kStderrStream; }

}  // namespace

RankOutput::RankOutput(exec::SpoolPaths paths, std::string secret, RankOutputSettings settings, Deps deps, Callbacks callbacks)
    : paths_(std::move(paths)),
      settings_(settings),
      deps_(deps),
      callbacks_(std::move(callbacks)),
      log_(paths_.log),
      events_(paths_.events),
      log_splitter_(secret),
      event_splitter_(std::move(secret)) {}

RankOutput::~RankOutput() {
  for (const Pipe& pipe : pipes_) deps_.loop.unwatch(pipe.watch);
  deps_.loop.cancel(partial_timer_);
  deps_.loop.cancel(retry_timer_);
}

Result<std::unique_ptr<RankOutput>> RankOutput::make(const exec::SpoolPaths& paths, std::string secret, RankOutputSettings settings,
                                                     Deps deps, Callbacks callbacks, WriteEnds& write_ends) {
  std::unique_ptr<RankOutput> output(new RankOutput(paths, std::move(secret), settings, deps, std::move(callbacks)));
  TRY(output->open_pipes(write_ends));
  return output;
}

Result<void> RankOutput::open_pipes(WriteEnds& write_ends) {
  const std::array<UniqueFd*, kPipes> targets{&write_ends.standard_output, &write_ends.standard_error, &write_ends.events};
  for (std::size_t index = 0; index < kPipes; ++index) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(errno, "pipe2", "");
    pipes_[index].fd.reset(ends[0]);
    targets[index]->reset(ends[1]);
    // Only our end: the program expects blocking writes.
    if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return system_error(errno, "fcntl", "");
    ASSIGN_OR_RETURN(pipes_[index].watch, deps_.loop.watch(ends[0], EPOLLIN, [this, index](std::uint32_t) { read_pipe(index); }));
  }
  return {};
}

void RankOutput::read_pipe(std::size_t index) {
  std::array<char, kReadMax> buffer;
  const ssize_t got = ::read(pipes_[index].fd.get(), buffer.data(), buffer.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) {
    take(index, std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  } else {
    end_pipe(index);
  }
  write_out();
}

void RankOutput::take(std::size_t index, std::string_view bytes) {
  const TimePoint now = deps_.clock.now();
  if (index != kEventsPipe) {
    log_splitter_.feed(stream_of(index), bytes, now, log_pending_);
    if (log_splitter_.has_partial()) flush_partial_later();
    return;
  }
  EventSplitter::Output output{.lines = {}, .rejected = {}, .now = now};
  event_splitter_.feed(bytes, output);
  events_pending_ += output.lines;
  for (const std::string& sentence : output.rejected) log_splitter_.note(sentence, now, log_pending_);
}

void RankOutput::end_pipe(std::size_t index) {
  deps_.loop.unwatch(pipes_[index].watch);
  pipes_[index] = {};
  const TimePoint now = deps_.clock.now();
  if (index == kEventsPipe) {
    EventSplitter::Output output{.lines = {}, .rejected = {}, .now = now};
    event_splitter_.finish(output);
    events_pending_ += output.lines;
    for (const std::string& sentence : output.rejected) log_splitter_.note(sentence, now, log_pending_);
  }
  const bool all_ended = std::none_of(pipes_.begin(), pipes_.end(), [](const Pipe& pipe) { return pipe.fd.valid(); });
  if (all_ended) log_splitter_.flush(now, log_pending_);
}

void RankOutput::flush_partial_later() {
  if (partial_timer_.valid()) return;
  partial_timer_ = deps_.loop.call_after(settings_.partial_line_after, [this] {
    partial_timer_ = {};
    log_splitter_.flush_begun(deps_.clock.now(), log_pending_);
    write_out();
  });
}

void RankOutput::write_out() {
  const std::uint64_t before = log_.size() + events_.size();
  const bool log_written = append_log().ok();
  if (log_written) log_pending_.clear();
  const bool events_written = events_.append(events_pending_).ok();
  if (events_written) events_pending_.clear();
  if ((!log_written || !events_written) && !retry_timer_.valid()) {
    retry_timer_ = deps_.loop.call_after(settings_.retry_after, [this] {
      retry_timer_ = {};
      write_out();
    });
  }
  count_unshipped();
  update_reading();
  if (log_.size() + events_.size() > before) callbacks_.on_grown();
  close_if_done();
}

Result<void> RankOutput::append_log() {
  if (log_pending_.empty()) return {};
  FAILPOINT("warden.before_append");
  TRY(log_.append(log_pending_));
  // What was appended must not be appended again: an injected error has no meaning here.
  (void)hit_failpoint("warden.after_append");
  return {};
}

void RankOutput::count_unshipped() {
  deps_.share.set(log_.size() - std::min(shipped_.log_size, log_.size()) + events_.size() - std::min(shipped_.events_size, events_.size()));
}

void RankOutput::update_reading() {
  const bool held = !closed_ && !draining_ && deps_.share.exhausted();
  if (std::exchange(held_, held) != held) callbacks_.on_held();
  const bool blocked = !log_pending_.empty() || !events_pending_.empty() || held;
  if (reading_ != blocked) return;
  reading_ = !blocked;
  // Without any event a hang-up is still reported: a paused pipe is taken out altogether.
  for (std::size_t index = 0; index < kPipes; ++index) {
    Pipe& pipe = pipes_[index];
    if (!pipe.fd.valid()) continue;
    deps_.loop.unwatch(pipe.watch);
    pipe.watch = {};
    if (!reading_) continue;
    Result<WatchId> watch = deps_.loop.watch(pipe.fd.get(), EPOLLIN, [this, index](std::uint32_t) { read_pipe(index); });
    if (watch.ok()) pipe.watch = *watch;
  }
}

void RankOutput::close_if_done() {
  if (closed_ || !log_pending_.empty() || !events_pending_.empty() || log_splitter_.has_partial()) return;
  if (std::any_of(pipes_.begin(), pipes_.end(), [](const Pipe& pipe) { return pipe.fd.valid(); })) return;
  closed_ = true;
  callbacks_.on_closed();
}

void RankOutput::set_shipped(const exec::ShippedMark& mark) {
  shipped_.log_size = std::max(shipped_.log_size, mark.log_size);
  if (mark.events_size > shipped_.events_size) {
    shipped_.events_size = mark.events_size;
    shipped_.event_lines = mark.event_lines;
  }
  if (shipped_.log_size + shipped_.events_size >= released_.log_size + released_.events_size + kReleaseStep) {
    // The mark goes first: it tells a restarted agent where the bytes that are still there begin.
    if (hit_failpoint("warden.before_shipped_mark").ok() && write_file_atomically(paths_.shipped, exec::to_text(shipped_)).ok() &&
        hit_failpoint("warden.after_shipped_mark").ok()) {
      released_ = shipped_;
      log_.release_before(released_.log_size);
      events_.release_before(released_.events_size);
    }
  }
  count_unshipped();
  update_reading();
}

void RankOutput::close_now() {
  draining_ = true;
  std::array<char, kReadMax> buffer;
  for (std::size_t index = 0; index < kPipes; ++index) {
    // What a pipe can hold is little; a writer that never stops must not keep the warden here.
    for (int reads = 0; reads < 32 && pipes_[index].fd.valid(); ++reads) {
      const ssize_t got = ::read(pipes_[index].fd.get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      take(index, std::string_view(buffer.data(), static_cast<std::size_t>(got)));
    }
    if (pipes_[index].fd.valid()) end_pipe(index);
  }
  write_out();
}

void RankOutput::note(std::string_view text) {
  log_splitter_.note(text, deps_.clock.now(), log_pending_);
  write_out();
}

}  // namespace trainyard::warden
