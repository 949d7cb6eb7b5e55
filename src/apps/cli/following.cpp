#include "apps/cli/following.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "apps/cli/outage.h"
#include "apps/cli/signal_watch.h"
#include "domain/job_state.h"

namespace trainyard::apps {
namespace {

/// How long the server keeps one question about the end of a job open.
constexpr std::int64_t kLongPollSeconds = 30;

/// `skips` asks for as little as there can be of what is there: only where it ends is wanted.
std::string log_target(const LogRequest& request, bool resumes, bool skips) {
  Query query;
  query.add("follow", request.follow && !skips ? "1" : "0").add("rank", request.rank).add("attempt", request.attempt);
  // Where to begin is said once: after that the position does.
  if (!resumes) query.add("since", request.since).add("tail", skips ? "1" : request.tail);
  return "/api/v1/jobs/" + net::percent_encode(request.job) + "/logs" + query.text();
}

}  // namespace

Result<LogEnd> follow_log(CommandContext& context, const LogRequest& request, LogPrinter& printer, Duration patience) {
  Outage outage(patience);
  Result<client::ApiClient*> api = context.api();
  std::string position;
  bool skips = request.tail == "0";
  for (;;) {
    std::optional<LogEnd> end;
    const std::string begun_at = position;
    const auto on_event = [&](const std::string& id, const std::string& event, const std::string& data) {
      outage.heard();
      const Result<Document> value = parse_json(data);
      if (!value.ok()) return true;
      if (event == "log" && !skips) printer.take(*value);
      if (event != "end" || skips) position = id;
      if (event == "end" || is_lost(stdout)) end = LogEnd{(*value)["state"].text(), (*value)["exit_code"]};
      return !end;
    };
    Result<void> followed = api.ok() ? Result<void>() : Result<void>(api.error());
    if (api.ok()) {
      // The first failure comes back here: this loop says that the server is away and may find it at another address.
      client::FollowSettings settings{.last_event_id = position};
      settings.give_up_after = std::chrono::milliseconds(0);
      followed = (*api)->follow(log_target(request, !position.empty(), skips), on_event, settings);
    }
    // What was there is passed over: the same again from here on.
    if (end && std::exchange(skips, false) && request.follow) continue;
    if (end) {
      printer.finish();
      return *std::move(end);
    }
    // A connection that brought something and broke is made anew without a word; only one that cannot be made is an outage.
    if (position != begun_at) {
      api = context.reconnect();
      continue;
    }
    const Error cause = followed.ok() ? unavailable("net.closed", "the server ended the stream") : followed.error();
    if (!outage.wait_after(cause)) return cause;
    api = context.reconnect();
  }
}

Result<std::vector<std::string>> last_log_lines(client::ApiClient& api, const std::string& job, std::size_t count,
                                                std::chrono::milliseconds timeout) {
  std::deque<std::string> lines;
  client::FollowSettings settings{.timeout = timeout};
  settings.give_up_after = std::chrono::milliseconds(0);
  const std::string target = "/api/v1/jobs/" + net::percent_encode(job) + fmt::format("/logs?follow=0&tail={}", count);
  const Result<void> read = api.follow(
      target,
      [&](const std::string&, const std::string& event, const std::string& data) {
        const Result<Document> value = parse_json(data);
        if (event == "log" && value.ok()) lines.push_back((*value)["text"].text());
        if (lines.size() > count) lines.pop_front();
        return event != "end";
      },
      settings);
  if (!read.ok() && read.error().id != "client.follow_timeout") return read.error();
  return std::vector<std::string>(lines.begin(), lines.end());
}

Result<Document> wait_for_end(CommandContext& context, const std::string& id, Duration patience, std::optional<Duration> timeout) {
  Outage outage(patience);
  const SystemClock clock;
  const MonotonicPoint deadline = clock.monotonic_now() + timeout.value_or(Duration(0));
  Result<client::ApiClient*> api = context.api();
  for (;;) {
    std::int64_t wait = kLongPollSeconds;
    if (timeout)
      wait = std::clamp<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(deadline - clock.monotonic_now()).count(), 0, wait);
    Result<Document> job = api.ok() ? (*api)->get(fmt::format("/api/v1/jobs/{}?wait={}", id, wait)) : Result<Document>(api.error());
    if (job.ok()) {
      outage.heard();
      if (is_ended((*job)["state"].text())) return job;
    } else if (outage.wait_after(job.error())) {
      api = context.reconnect();
    } else {
      return job;
    }
    if (timeout && clock.monotonic_now() >= deadline) {
      return Error{Category::kDeadlineExceeded,
                   "cli.wait_timeout",
                   fmt::format("the job has not ended in time; it goes on: `trainyard job wait {0}` waits again", id),
                   {},
                   {}};
    }
  }
}

int code_of_ended_job(const std::string& state, const Document& exit_code) {
  if (state == "SUCCEEDED") return kOk;
  const std::int64_t code = exit_code.as_int().value_or(0);
  return code != 0 ? static_cast<int>(code) : kFailed;
}

bool is_ended(const std::string& state) {
  const std::optional<JobState> known = job_state_from(state);
  return known && is_terminal(*known);
}

struct InterruptHint::Watch {
  SignalWatch signals;
};

InterruptHint::InterruptHint(std::string hint) : watch_(std::make_unique<Watch>()) {
  const Result<void> started = watch_->signals.start([hint = std::move(hint)](int signal) {
    fmt::print(stderr, "\n{}\n", hint);
    ::_exit(128 + signal);
  });
  if (!started.ok()) fmt::print(stderr, "warning: {}\n", started.error().describe());
}

InterruptHint::~InterruptHint() = default;

}  // namespace trainyard::apps
