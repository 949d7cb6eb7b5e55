#include "runner/event_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

namespace trainyard::runner {
namespace {

using namespace std::chrono_literals;

constexpr Duration kShortPatience = 250ms;
constexpr Duration kLongPatience = 10s;

bool usable(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return false;
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) return false;
  return S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || S_ISREG(status.st_mode);
}

Document event_of(std::string_view kind) {
  Document event;
  event.set("event", kind);
  return event;
}

}  // namespace

struct EventWriter::State {
  const Clock& clock;
  std::mutex mutex;
  UniqueFd fd;           // guarded by mutex
  std::string rest;      // guarded by mutex: the tail of a line of which the reader took only a part; it goes before the next line
  bool stalled = false;  // guarded by mutex: the reader did not take the last event in time, so nobody waits for it before it moves

  /// Writes as much of `rest` as the reader takes until `deadline`. False when some is left.
  bool drain(MonotonicPoint deadline) {
    while (!rest.empty()) {
      const ssize_t written = ::write(fd.get(), rest.data(), rest.size());
      if (written >= 0) {
        rest.erase(0, static_cast<std::size_t>(written));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) {
        fd.reset();  // The reader is gone: nobody will ever see another event.
        rest.clear();
        return false;
      }
      const Duration left = deadline - clock.monotonic_now();
      if (left <= Duration(0)) return false;
      pollfd waiting{.fd = fd.get(), .events = POLLOUT, .revents = 0};
      ::poll(&waiting, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
    }
    return true;
  }
};

EventWriter::EventWriter(int fd, const Clock& clock)
    : state_(new State{.clock = clock, .mutex = {}, .fd = UniqueFd(), .rest = {}, .stalled = false}) {
  if (!usable(fd)) return;
  state_->fd.reset(fd);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

EventWriter::~EventWriter() = default;

bool EventWriter::open() const {
  const std::lock_guard lock(state_->mutex);
  return state_->fd.valid();
}

void EventWriter::send(const Document& event, Duration patience) {
  std::string line = to_json(event);
  line += '\n';
  const std::lock_guard lock(state_->mutex);
  if (!state_->fd.valid()) return;
  const bool hurried = state_->stalled && patience == kShortPatience;
  const MonotonicPoint deadline = state_->clock.monotonic_now() + (hurried ? Duration(0) : patience);
  state_->stalled = !state_->drain(deadline);
  if (state_->stalled) return;
  state_->rest = std::move(line);
  const std::size_t whole = state_->rest.size();
  state_->stalled = !state_->drain(deadline);
  // A line of which nothing was taken is dropped; one that was begun must be finished, or the next one would be torn.
  if (state_->stalled && state_->rest.size() == whole) state_->rest.clear();
}

void EventWriter::metric(std::string_view key, double value, std::int64_t step) {
  Document event = event_of("metric");
  event.set("key", key);
  event.set("value", value);
  event.set("step", step);
  event.set("time_us", micros(state_->clock.now()));
  send(event, kShortPatience);
}

void EventWriter::progress(std::int64_t done, std::int64_t total, std::string_view message) {
  Document event = event_of("progress");
  event.set("done", done);
  event.set("total", total);
  event.set("message", message);
  send(event, kShortPatience);
}

void EventWriter::ready(std::string_view url) {
  Document event = event_of("ready");
  event.set("url", url);
  send(event, kLongPatience);
}

void EventWriter::checkpoint(std::int64_t step, std::string_view manifest) {
  Document event = event_of("checkpoint");
  event.set("step", step);
  event.set("manifest", manifest);
  send(event, kLongPatience);
}

void EventWriter::artifact(const ArtifactEvent& artifact) {
  Document event = event_of("artifact");
  event.set("name", artifact.name);
  event.set("uri", artifact.uri);
  event.set("size", artifact.size);
  event.set("checksum", artifact.checksum);
  send(event, kLongPatience);
}

void EventWriter::result(const Document& values) {
  Document event = event_of("result");
  event.set("values", values);
  send(event, kLongPatience);
}

void EventWriter::failure(const Error& error) {
  Document fault;
  fault.set("id", error.id);
  fault.set("category", name_of(error.category));
  fault.set("message", error.message);
  if (!error.where.empty()) fault.set("where", error.where);
  Document values;
  values.set("error", std::move(fault));
  result(values);
}

}  // namespace trainyard::runner
