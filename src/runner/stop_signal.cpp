#include "runner/stop_signal.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace trainyard::runner {
namespace {

// A signal handler reaches nothing but objects of static storage; these are the only ones.
std::atomic<bool> stop_asked{false};
std::atomic<bool> checkpoint_asked{false};
std::atomic<int> stop_event{-1};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void on_stop(int) {
  const int saved_errno = errno;
  stop_asked.store(true);
  const std::uint64_t one = 1;
  if (const int fd = stop_event.load(); fd >= 0 && ::write(fd, &one, sizeof one) < 0) {
    // A full counter means that the event is set already.
  }
  errno = saved_errno;
}

extern "C" void on_checkpoint(int) { checkpoint_asked.store(true); }

Result<void> handle(int signal_number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(signal_number, &action, nullptr) != 0) return system_error(errno, "sigaction", ::strsignal(signal_number));
  return {};
}

}  // namespace

Result<StopSignal> StopSignal::install() {
  if (stop_event.load() < 0) {
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return system_error(errno, "eventfd", "");
    stop_event.store(fd);
  }
  for (const int signal_number : {SIGTERM, SIGINT}) TRY(handle(signal_number, &on_stop));
  TRY(handle(SIGUSR1, &on_checkpoint));
  for (const int signal_number : {SIGPIPE, SIGHUP}) TRY(handle(signal_number, SIG_IGN));
  return StopSignal();
}

bool StopSignal::stop_requested() const { return stop_asked.load(); }

bool StopSignal::take_checkpoint_request() { return checkpoint_asked.exchange(false); }

bool StopSignal::wait_for_stop(Duration span) const {
  if (stop_asked.load()) return true;
  pollfd waiting{.fd = stop_event.load(), .events = POLLIN, .revents = 0};
  ::poll(&waiting, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(span).count()));
  return stop_asked.load();
}

}  // namespace trainyard::runner
