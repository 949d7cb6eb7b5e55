#include "apps/cli/signal_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace trainyard::apps {

SignalWatch::SignalWatch() {
  sigemptyset(&mask_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&mask_, signal);
  ::pthread_sigmask(SIG_BLOCK, &mask_, nullptr);
}

SignalWatch::~SignalWatch() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

Result<void> SignalWatch::start(std::function<void(int signal)> on_signal) {
  signals_.reset(::signalfd(-1, &mask_, SFD_CLOEXEC));
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!signals_.valid() || !stop_.valid()) return system_error(errno, "signalfd", "");
  thread_ = std::thread([this, on_signal = std::move(on_signal)] { watch(on_signal); });
  return {};
}

void SignalWatch::watch(const std::function<void(int)>& on_signal) {
  for (;;) {
    pollfd watched[] = {{signals_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0) continue;
    if (watched[1].revents != 0) return;
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) continue;
    const int signal = static_cast<int>(info.ssi_signo);
    if (taken_ != 0) ::_exit(128 + signal);
    taken_ = signal;
    on_signal(signal);
  }
}

}  // namespace trainyard::apps
