#pragma once
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apps/warden/event_loop.h"
#include "apps/warden/line_splitter.h"
#include "apps/warden/spool_budget.h"
#include "apps/warden/spool_file.h"
#include "exec/spool.h"

namespace trainyard::warden {

struct RankOutputSettings {
  Duration partial_line_after{100'000};  ///< An unfinished line becomes a record after this time.
  Duration retry_after{200'000};         ///< Between attempts to write to a full disk.
};

/// stdout, stderr and descriptor 3 of one rank: reads the pipes, appends to the spool files. When its share of the spool is exhausted, or
/// the disk is full, it stops reading: the rank then waits in its write.
class RankOutput {
 public:
  struct Deps {
    EventLoop& loop;
    const Clock& clock;
    SpoolShare& share;
  };
  struct Callbacks {
    std::function<void()> on_grown;   ///< The files have new bytes.
    std::function<void()> on_held;    ///< `held` has changed.
    std::function<void()> on_closed;  ///< Every pipe has ended and all of it is in the files. Called once.
  };
  /// The ends of the pipes that the rank inherits as descriptors 1, 2 and 3; all are closed on exec.
  struct WriteEnds {
    UniqueFd standard_output;
    UniqueFd standard_error;
    UniqueFd events;
  };

  /// Opens the files and the pipes; `secret` is redacted. Reading starts at once.
  static Result<std::unique_ptr<RankOutput>> make(const exec::SpoolPaths& paths, std::string secret, RankOutputSettings settings, Deps deps,
                                                  Callbacks callbacks, WriteEnds& write_ends);
  ~RankOutput();
  RankOutput(const RankOutput&) = delete;
  RankOutput& operator=(const RankOutput&) = delete;

  bool closed() const { return closed_; }
  std::uint64_t log_size() const { return log_.size(); }
  std::uint64_t events_size() const { return events_.size(); }

  /// The spool is full: the pipes are not read.
  bool held() const { return held_; }
  /// Reads on if the share allows it again.
  void look_at_share() { update_reading(); }
  /// What the server holds durably: that much of the disk may be given back and of the bound be used again.
  void set_shipped(const exec::ShippedMark& mark);
  /// Takes what is in the pipes now and closes them, whoever else still holds them open.
  void close_now();
  /// Adds a line of the stream "system".
  void note(std::string_view text);

 private:
  static constexpr std::size_t kPipes = 3;
  struct Pipe {
    UniqueFd fd;
    WatchId watch;
  };

  RankOutput(exec::SpoolPaths paths, std::string secret, RankOutputSettings settings, Deps deps, Callbacks callbacks);
  Result<void> open_pipes(WriteEnds& write_ends);
  void read_pipe(std::size_t index);
  void take(std::size_t index, std::string_view bytes);
  void end_pipe(std::size_t index);
  void write_out();
  Result<void> append_log();
  void flush_partial_later();
  void update_reading();
  void close_if_done();
  void count_unshipped();

  exec::SpoolPaths paths_;
  RankOutputSettings settings_;
  Deps deps_;
  Callbacks callbacks_;
  SpoolFile log_;
  SpoolFile events_;
  LogSplitter log_splitter_;
  EventSplitter event_splitter_;
  std::array<Pipe, kPipes> pipes_;
  std::string log_pending_;     ///< Encoded records that are not in the file yet.
  std::string events_pending_;  ///< Whole lines that are not in the file yet.
  exec::ShippedMark shipped_;
  exec::ShippedMark released_;  ///< The mark on disk: files may have holes before it.
  TimerId partial_timer_;
  TimerId retry_timer_;
  bool reading_ = true;
  bool held_ = false;
  bool draining_ = false;  ///< close_now was called: bounds no longer hold the last bytes back.
  bool closed_ = false;
};

}  // namespace trainyard::warden
