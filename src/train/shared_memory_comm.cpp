#include "train/shared_memory_comm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <new>
#include <vector>

#include "base/checksum.h"
#include "base/file.h"
#include "train/internal/comm_segment.h"

namespace trainyard::train {
namespace {

using internal::Segment;
using namespace std::chrono_literals;

constexpr Duration kFutexWait = 20ms;  // Between two looks at the peers' pidfds.
constexpr Duration kRendezvousPause = 2ms;
constexpr int kSpins = 4000;  // Some tens of microseconds: about the time a balanced peer is late.

void pause_for(Duration span) {
  const timespec time{.tv_sec = 0, .tv_nsec = static_cast<long>(std::chrono::nanoseconds(span).count())};
  ::ppoll(nullptr, 0, &time, nullptr);
}

std::uint32_t* word_of(std::atomic<std::uint32_t>& word) { return static_cast<std::uint32_t*>(static_cast<void*>(&word)); }

void wait_on(std::atomic<std::uint32_t>& word, std::uint32_t seen, Duration span) {
  const timespec time{.tv_sec = 0, .tv_nsec = static_cast<long>(std::chrono::nanoseconds(span).count())};
  ::syscall(SYS_futex, word_of(word), FUTEX_WAIT, seen, &time, nullptr, 0);
}

void wake_all(std::atomic<std::uint32_t>& word) { ::syscall(SYS_futex, word_of(word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

class SharedMemoryComm final : public Comm {
 public:
  SharedMemoryComm(const SharedMemorySettings& settings, const Clock& clock, Segment segment)
      : settings_(settings), clock_(clock), segment_(std::move(segment)) {
    for (std::uint32_t peer = 0; peer < settings_.world_size; ++peer) {
      const auto pid = static_cast<pid_t>(segment_.slot(peer).pid.load());
      peers_.emplace_back(peer == settings_.rank ? -1 : static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    }
  }
  ~SharedMemoryComm() override { leave(); }
  SharedMemoryComm(const SharedMemoryComm&) = delete;
  SharedMemoryComm& operator=(const SharedMemoryComm&) = delete;

  std::uint32_t rank() const override { return settings_.rank; }
  std::uint32_t world_size() const override { return settings_.world_size; }

  Result<void> all_reduce(std::span<float> sums, std::span<std::int64_t> maxima) override {
    CHECK(sums.size() <= settings_.floats_max && maxima.size() <= kWordsMax, "a collective longer than it was announced");
    std::copy(sums.begin(), sums.end(), segment_.floats(rank()).begin());
    std::copy(maxima.begin(), maxima.end(), segment_.words(rank()).begin());
    TRY(barrier());
    reduce_slice(sums.size());
    for (std::uint32_t peer = 0; peer < world_size(); ++peer) {
      const std::span<const std::int64_t> theirs = segment_.words(peer);
      for (std::size_t i = 0; i < maxima.size(); ++i) maxima[i] = std::max(maxima[i], theirs[i]);
    }
    TRY(barrier());
    const std::span<const float> total = segment_.total();
    std::copy_n(total.begin(), sums.size(), sums.begin());
    return {};
  }

  Result<void> sum(std::span<double> values) override {
    CHECK(values.size() <= kWordsMax, "a collective longer than it was announced");
    std::copy(values.begin(), values.end(), segment_.doubles(rank()).begin());
    TRY(barrier());
    std::fill(values.begin(), values.end(), 0.0);
    for (std::uint32_t peer = 0; peer < world_size(); ++peer) {
      const std::span<const double> theirs = segment_.doubles(peer);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += theirs[i];
    }
    return barrier();
  }

 private:
  /// Adds up this rank's share of the positions, for each over all ranks in rank order.
  void reduce_slice(std::size_t count) {
    const std::size_t begin = count * rank() / world_size();
    const std::size_t end = count * (rank() + 1) / world_size();
    float* const total = segment_.total().data();
    std::copy_n(segment_.floats(0).data() + begin, end - begin, total + begin);
    for (std::uint32_t peer = 1; peer < world_size(); ++peer) {
      const float* const theirs = segment_.floats(peer).data();
      for (std::size_t i = begin; i < end; ++i) total[i] += theirs[i];
    }
  }

  Result<void> barrier() {
    if (failed_) return *failed_;
    ++generation_;
    segment_.slot(rank()).arrived.store(generation_);
    ring();
    const MonotonicPoint deadline = clock_.monotonic_now() + settings_.collective_timeout;
    for (std::uint32_t peer = 0; peer < world_size(); ++peer) {
      if (peer == rank()) continue;
      if (Result<void> arrived = wait_for(peer, deadline); !arrived.ok()) {
        failed_ = arrived.error();
        leave();
        return arrived;
      }
    }
    return {};
  }

  bool has_arrived(std::uint32_t peer) { return static_cast<std::int32_t>(segment_.slot(peer).arrived.load() - generation_) >= 0; }

  Result<void> wait_for(std::uint32_t peer, MonotonicPoint deadline) {
    for (int spin = 0; spin < kSpins; ++spin) {
      if (has_arrived(peer)) return {};
      __builtin_ia32_pause();
    }
    auto& header = segment_.header();
    for (;;) {
      const std::uint32_t seen = header.bell.load();
      if (has_arrived(peer)) return {};
      if (peer_gone(peer)) {
        // It may have arrived at its last moment.
        return has_arrived(peer) ? Result<void>() : Result<void>(lost(peer));
      }
      if (clock_.monotonic_now() >= deadline) return late(peer);
      header.waiters.fetch_add(1);
      wait_on(header.bell, seen, kFutexWait);
      header.waiters.fetch_sub(1);
    }
  }

  bool peer_gone(std::uint32_t peer) {
    if (segment_.slot(peer).left.load() != 0) return true;
    const int fd = peers_[peer].get();
    if (fd < 0) return true;  // It was gone before its pidfd could be opened.
    pollfd ended{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&ended, 1, 0) > 0;
  }

  void ring() {
    auto& header = segment_.header();
    header.bell.fetch_add(1);
    if (header.waiters.load() > 0) wake_all(header.bell);
  }

  void leave() {
    segment_.slot(rank()).left.store(1);
    ring();
  }

  Error lost(std::uint32_t peer) const {
    return unavailable(
        "comm.peer_lost",
        fmt::format("a rank of the gang ended or gave up while the others waited for it; its own log says why: rank {} of {} "
                    "(process {})",
                    peer, world_size(), segment_.slot(peer).pid.load()));
  }
  Error late(std::uint32_t peer) const {
    return Error{
        Category::kDeadlineExceeded,
        "comm.timeout",
        fmt::format("a rank of the gang runs but did not come to the barrier in time; look whether it is stopped or starved of CPU: "
                    "rank {} of {}, waited {}",
                    peer, world_size(), format_duration(settings_.collective_timeout)),
        {},
        {}};
  }

  SharedMemorySettings settings_;
  const Clock& clock_;
  Segment segment_;
  std::vector<UniqueFd> peers_;
  std::uint32_t generation_ = 0;  // Counts barriers; wraps around, which has_arrived allows for.
  std::optional<Error> failed_;
};

/// How long the ranks look for each other.
class Rendezvous {
 public:
  Rendezvous(const SharedMemorySettings& settings, const Clock& clock)
      : settings_(settings), clock_(clock), deadline_(clock.monotonic_now() + settings.rendezvous_timeout) {}

  /// A short pause on the way to finding `who`, or why there is no point in going on.
  Result<void> wait_for(std::string_view who) const {
    if (settings_.give_up && settings_.give_up()) {
      return Error{Category::kCancelled, "comm.given_up", "a stop was requested before all ranks of the gang had started", {}, {}};
    }
    if (clock_.monotonic_now() >= deadline_) {
      return Error{
          Category::kDeadlineExceeded,
          "comm.rendezvous",
          fmt::format("the ranks of the gang did not find each other in time; all must run on this host and start within the time: "
                      "rank {} of {} waited {} for {}",
                      settings_.rank, settings_.world_size, format_duration(settings_.rendezvous_timeout), who),
          {},
          {}};
    }
    pause_for(kRendezvousPause);
    return {};
  }

 private:
  const SharedMemorySettings& settings_;
  const Clock& clock_;
  MonotonicPoint deadline_;
};

Result<Segment> gather_ranks(const SharedMemorySettings& settings, const Rendezvous& rendezvous) {
  ASSIGN_OR_RETURN(Segment segment, Segment::create(settings.directory + "/" + settings.name, settings.world_size, settings.floats_max));
  segment.slot(0).pid.store(::getpid());
  for (std::uint32_t peer = 1; peer < settings.world_size; ++peer) {
    while (segment.slot(peer).pid.load() == 0) TRY(rendezvous.wait_for(fmt::format("rank {}", peer)));
  }
  segment.header().started.store(1);
  segment.unlink();
  return segment;
}

/// Maps the file of rank 0 and signs in. A file that an ended gang left behind is replaced by rank 0 when it comes, so whoever signed in
/// to the old one looks again as long as nothing has started.
Result<Segment> join_ranks(const SharedMemorySettings& settings, const Rendezvous& rendezvous) {
  const std::string path = settings.directory + "/" + settings.name;
  std::optional<Segment> segment;
  for (;;) {
    if (segment && segment->header().started.load() != 0) return std::move(*segment);
    if (!segment || !segment->is_at(path)) {
      Result<Segment> found = Segment::open(path, settings.world_size, settings.floats_max);
      if (found.ok()) {
        std::int32_t nobody = 0;
        const bool fresh = found.value().header().started.load() == 0;
        if (fresh && found.value().slot(settings.rank).pid.compare_exchange_strong(nobody, ::getpid())) segment = std::move(found).value();
      } else if (found.error().category != Category::kNotFound && found.error().category != Category::kUnavailable) {
        return std::move(found).error();
      }
    }
    TRY(rendezvous.wait_for("rank 0"));
  }
}

}  // namespace

std::string shared_memory_name(std::string_view place, std::string_view job, std::uint32_t attempt) {
  return fmt::format("trainyard-{}-{}-{:016x}", job, attempt, xxh3_64(as_bytes(place)));
}

Result<std::unique_ptr<Comm>> make_shared_memory_comm(const SharedMemorySettings& settings, const Clock& clock) {
  CHECK(settings.world_size > 0 && settings.rank < settings.world_size, "a rank outside its gang");
  const Rendezvous rendezvous(settings, clock);
  Result<Segment> segment = settings.rank == 0 ? gather_ranks(settings, rendezvous) : join_ranks(settings, rendezvous);
  if (!segment.ok()) return std::move(segment).error();
  return std::unique_ptr<Comm>(std::make_unique<SharedMemoryComm>(settings, clock, std::move(segment).value()));
}

}  // namespace trainyard::train
