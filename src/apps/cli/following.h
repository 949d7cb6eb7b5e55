#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/command_line.h"
#include "apps/cli/log_printer.h"

namespace trainyard::apps {

/// Which part of a job's log is read.
struct LogRequest {
  std::string job;
  bool follow = false;
  std::string rank;     ///< Empty: all.
  std::string attempt;  ///< Empty: the current one and those that follow.
  std::string since;    ///< RFC 3339 or a duration; empty: from the start.
  std::string tail;     ///< Lines; empty: all; "0": only what is written from now on.
};

/// How a job was when its log ended; without a state when the output was lost before that.
struct LogEnd {
  std::string state;
  Document exit_code;
};

/// Reads the log as events and prints it. When the connection breaks it goes on behind the last event that was printed, so that no line is
/// lost or comes twice, for as long as the server is away at most `patience`. Errors: what the server refuses; the last failure.
Result<LogEnd> follow_log(CommandContext& context, const LogRequest& request, LogPrinter& printer, Duration patience);

/// The last `count` lines of a job's log, or as many as came within `timeout`. Errors: those of the server.
Result<std::vector<std::string>> last_log_lines(client::ApiClient& api, const std::string& job, std::size_t count,
                                                std::chrono::milliseconds timeout);

/// Waits for the end of a job over restarts of the server. Errors: as follow_log; DEADLINE_EXCEEDED "cli.wait_timeout" once `timeout` is
/// over, if there is one.
Result<Document> wait_for_end(CommandContext& context, const std::string& id, Duration patience, std::optional<Duration> timeout);

/// The exit code of a command that returns that of the job: 0 when it succeeded, its own else, 1 when it has none.
int code_of_ended_job(const std::string& state, const Document& exit_code);
bool is_ended(const std::string& state);

/// While it lives, an interrupt ends the process with 130 (other signals: 128 + their number) after one line on stderr that says how to go
/// on. To be made while the process has one thread.
class InterruptHint {
 public:
  explicit InterruptHint(std::string hint);
  ~InterruptHint();

 private:
  struct Watch;
  std::unique_ptr<Watch> watch_;
};

}  // namespace trainyard::apps
