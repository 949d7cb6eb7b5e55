#include "api/platform/logs.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <deque>

#include "api/platform/log_bytes.h"

namespace trainyard::api {

std::uint64_t WatchedLogStore::subscribe(Listener listener) {
  const std::lock_guard lock(mutex_);
  listeners_.emplace(++last_, std::move(listener));
  return last_;
}

void WatchedLogStore::unsubscribe(std::uint64_t subscription) {
  const std::lock_guard lock(mutex_);
  listeners_.erase(subscription);
}

Result<std::uint64_t> WatchedLogStore::append(const RankKey& rank, std::uint64_t offset, std::string_view encoded) {
  Result<std::uint64_t> end = inner_.append(rank, offset, encoded);
  if (!end.ok()) return end;
  std::vector<Listener> listeners;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, listener] : listeners_) listeners.push_back(listener);
  }
  for (const Listener& listener : listeners) listener(rank);
  return end;
}

namespace {

constexpr std::size_t kSliceBytes = 256 * 1024;
constexpr std::size_t kPlainBytesMax = 64 * 1024 * 1024;

/// Where a reader stands: the next offset of every rank of one attempt.
struct LogPosition {
  AttemptNumber attempt;
  std::vector<std::uint64_t> offsets;
};

std::string position_text(const LogPosition& position) {
  return fmt::format("{}/{}", position.attempt.value, fmt::join(position.offsets, ","));
}

std::optional<LogPosition> parse_position(std::string_view text) {
  LogPosition position;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, position.attempt.value);
  if (error != std::errc() || at == end || *at != '/') return std::nullopt;
  while (at != end) {
    std::uint64_t offset = 0;
    const auto [stop, fault] = std::from_chars(at + 1, end, offset);
    if (fault != std::errc() || (stop != end && *stop != ',')) return std::nullopt;
    position.offsets.push_back(offset);
    at = stop;
  }
  return position;
}

std::string_view name_of(store::LogStream stream) {
  switch (stream) {
    case store::LogStream::kStdout:
      return "stdout";
    case store::LogStream::kStderr:
      return "stderr";
    case store::LogStream::kSystem:
      return "system";
  }
  return "system";
}

std::string log_event(const LogPosition& position, std::uint32_t rank, const store::LogRecord& record) {
  Document data = Document::object();
  data.set("attempt", static_cast<std::int64_t>(position.attempt.value));
  data.set("rank", static_cast<std::int64_t>(rank));
  data.set("stream", name_of(record.stream));
  data.set("time", to_rfc3339(record.time));
  data.set("text", record.bytes);
  return net::sse_event(position_text(position), "log", to_json(data));
}

std::uint64_t encoded_size(const store::LogRecord& record) {
  std::string encoded;
  store::encode_log_record(record, encoded);
  return encoded.size();
}

/// Which part of what is there a reader wants.
struct LogSelection {
  std::optional<TimePoint> since;   ///< Only records written then or later.
  std::optional<std::size_t> tail;  ///< Only so many lines at the end, of each rank.

  bool selects(const store::LogRecord& record) const { return !since || record.time >= *since; }
};

/// Where a rank's log is read from, and how many lines of the first record are left out.
struct LogStart {
  std::uint64_t offset = 0;
  std::size_t lines_left_out = 0;
};

std::size_t lines_in(std::string_view text) {
  const auto breaks = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  return breaks + (text.empty() || text.back() == '\n' ? 0 : 1);
}

std::string without_lines(std::string_view text, std::size_t lines) {
  for (; lines > 0; --lines) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return std::string(text);
}

/// The start of the last `lines` lines. Reads the whole log.
LogStart start_of_tail(WatchedLogStore& logs, const RankKey& rank, std::size_t lines) {
  struct Counted {
    std::uint64_t offset;
    std::size_t lines;
  };
  std::deque<Counted> kept;
  std::size_t total = 0;
  std::uint64_t offset = 0;
  for (;;) {
    const Result<store::LogSlice> slice = logs.read(rank, offset, kSliceBytes);
    if (!slice.ok() || slice->records.empty()) break;
    for (const store::LogRecord& record : slice->records) {
      kept.push_back({offset, lines_in(record.bytes)});
      total += kept.back().lines;
      offset += encoded_size(record);
      while (total - kept.front().lines >= lines && kept.size() > 1) {
        total -= kept.front().lines;
        kept.pop_front();
      }
    }
  }
  if (kept.empty()) return {};
  return {kept.front().offset, total > lines ? total - lines : 0};
}

/// One client that reads a job's log as events. Lives on the reading thread; wake-ups come from the log store and the event log.
class LogFollower : public std::enable_shared_from_this<LogFollower> {
 public:
  struct Options {
    JobId job;
    bool follow = false;
    bool plain = false;  ///< The text alone, without positions.
    std::optional<std::uint32_t> rank;
    std::optional<LogPosition> resume;
    LogSelection selection;
  };

  LogFollower(JobContext context, WatchedLogStore& logs, Options options,
              std::shared_ptr<net::ResponseStream> stream)  // shared: as the port says
      : context_(context), logs_(logs), options_(std::move(options)), stream_(std::move(stream)) {}

  /// Called on the strand.
  void start() {
    const auto self = shared_from_this();
    stream_->on_closed([self] { self->context_.reads.post([self] { self->end(); }); });
    log_subscription_ = logs_.subscribe([self](const RankKey& rank) {
      if (rank.attempt.job == self->options_.job) self->wake();
    });
    event_subscription_ = context_.jobs.subscribe([self](const store::EventRecord& event) {
      if (event.job == self->options_.job) self->wake();
    });
    wake();
  }

 private:
  /// Any thread. Several wake-ups count as one until the job has been looked at; what happens later needs another round.
  void wake() {
    if (wake_pending_.exchange(true)) return;
    find_job(context_, options_.job, [self = shared_from_this()](Result<jobs::Job> job) {
      self->wake_pending_ = false;
      self->context_.reads.post([self, job = std::move(job)] { self->round(job); });
    });
  }

  /// Sends what is there, up to the job as it was when this round was asked for: its end was durable before its last bytes are read here.
  void round(const Result<jobs::Job>& job) {
    if (ended_) return;
    if (!job.ok()) return end();
    if (!send_attempts(*job)) return end();
    if (!is_terminal(job->state) && options_.follow) return;
    if (!options_.plain) {
      Document data = Document::object();
      data.set("state", trainyard::name_of(job->state));
      if (job->exit_code) data.set("exit_code", *job->exit_code);
      stream_->write(net::sse_event(position_text(position_), "end", to_json(data)));
    }
    end();
  }

  bool send_attempts(const jobs::Job& job) {
    if (position_.attempt.value == 0) {
      if (job.attempt.number.value == 0) return true;
      position_ = options_.resume.value_or(LogPosition{job.attempt.number, {}});
      if (!options_.resume || options_.resume->offsets.empty()) begin_at_tail(job);
    }
    for (;;) {
      position_.offsets.resize(std::max(position_.offsets.size(), job.attempt.ranks.size()));
      if (!send_new_records()) return false;
      if (position_.attempt >= job.attempt.number) return true;
      position_ = {AttemptNumber(position_.attempt.value + 1), {}};
    }
  }

  /// A reader that begins, and does not resume, may want the end only.
  void begin_at_tail(const jobs::Job& job) {
    if (!options_.selection.tail) return;
    position_.offsets.resize(job.attempt.ranks.size());
    for (std::uint32_t rank = 0; rank < position_.offsets.size(); ++rank) {
      if (options_.rank && *options_.rank != rank) continue;
      const LogStart start = start_of_tail(logs_, {{options_.job, position_.attempt}, rank}, *options_.selection.tail);
      position_.offsets[rank] = start.offset;
      left_out_[rank] = start.lines_left_out;
    }
  }

  bool send_record(std::uint32_t rank, store::LogRecord record) {
    position_.offsets[rank] += encoded_size(record);
    if (const auto out = left_out_.find(rank); out != left_out_.end()) {
      record.bytes = without_lines(record.bytes, out->second);
      left_out_.erase(out);
    }
    if (!options_.selection.selects(record) || record.bytes.empty()) return true;
    return stream_->write(options_.plain ? std::move(record.bytes) : log_event(position_, rank, record));
  }

  bool send_new_records() {
    for (std::uint32_t rank = 0; rank < position_.offsets.size(); ++rank) {
      if (options_.rank && *options_.rank != rank) continue;
      for (;;) {
        const Result<store::LogSlice> slice = logs_.read({{options_.job, position_.attempt}, rank}, position_.offsets[rank], kSliceBytes);
        if (!slice.ok() || slice->records.empty()) break;
        for (const store::LogRecord& record : slice->records) {
          if (!send_record(rank, record)) return false;
        }
      }
    }
    return true;
  }

  void end() {
    if (ended_) return;
    ended_ = true;
    stream_->close();
    logs_.unsubscribe(log_subscription_);
    context_.strand.post([self = shared_from_this()] { self->context_.jobs.unsubscribe(self->event_subscription_); });
  }

  JobContext context_;
  WatchedLogStore& logs_;
  Options options_;
  std::shared_ptr<net::ResponseStream> stream_;  // shared: as the port says
  LogPosition position_;
  std::map<std::uint32_t, std::size_t> left_out_;  ///< Lines of the next record, by rank.
  std::uint64_t log_subscription_ = 0;
  std::uint64_t event_subscription_ = 0;
  std::atomic<bool> wake_pending_{false};
  bool ended_ = false;
};

/// All records of one attempt, rank by rank, the first 64 MiB at most; says so when there is more.
std::string plain_text(WatchedLogStore& logs, const jobs::Job& job, AttemptNumber attempt, std::optional<std::uint32_t> only_rank,
                       const LogSelection& selection) {
  std::string text;
  const std::uint32_t ranks = static_cast<std::uint32_t>(std::max<std::size_t>(1, job.attempt.ranks.size()));
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    if (only_rank && *only_rank != rank) continue;
    const RankKey key{{job.id, attempt}, rank};
    LogStart start;
    if (selection.tail) start = start_of_tail(logs, key, *selection.tail);
    while (text.size() < kPlainBytesMax) {
      const Result<store::LogSlice> slice = logs.read(key, start.offset, kSliceBytes);
      if (!slice.ok() || slice->records.empty()) break;
      for (const store::LogRecord& record : slice->records) {
        const std::string bytes = without_lines(record.bytes, std::exchange(start.lines_left_out, 0));
        if (selection.selects(record)) text += bytes;
      }
      start.offset = slice->next_offset;
    }
  }
  if (text.size() >= kPlainBytesMax) text += "\n[the log goes on; read it whole as a stream: Accept: text/event-stream]\n";
  return text;
}

struct LogRequest {
  JobId job;
  std::optional<std::uint32_t> rank;
  std::optional<std::uint32_t> attempt;
  LogSelection selection;
};

/// An attempt or rank that was never there has no log, which is not the same as an empty one.
Result<void> check_asked(const LogRequest& asked, const jobs::Job& job) {
  if (asked.attempt && (*asked.attempt == 0 || *asked.attempt > job.attempt.number.value)) {
    return not_found("log.unknown_attempt", fmt::format("job {} has had {} attempts, there is no attempt {}", job.id.text(),
                                                        job.attempt.number.text(), *asked.attempt));
  }
  if (asked.rank && static_cast<std::int64_t>(*asked.rank) >= job.spec.tasks) {
    return not_found("log.unknown_rank",
                     fmt::format("job {} has {} ranks, counted from 0: there is no rank {}", job.id.text(), job.spec.tasks, *asked.rank));
  }
  return {};
}

std::optional<std::uint32_t> small_number(const net::Request& request, std::string_view name) {
  if (!request.query_value(name)) return std::nullopt;
  return static_cast<std::uint32_t>(net::query_number(request, name, 0));
}

Result<LogRequest> parse_request(const net::Request& request, TimePoint now) {
  LogRequest parsed;
  ASSIGN_OR_RETURN(parsed.job, parse_job_id(request.path_parameters.at("id")));
  parsed.rank = small_number(request, "rank");
  parsed.attempt = small_number(request, "attempt");
  if (request.query_value("tail")) parsed.selection.tail = static_cast<std::size_t>(net::query_number(request, "tail", 0));
  if (const std::optional<std::string> since = request.query_value("since")) {
    const Result<Duration> span = parse_duration(*since);
    const Result<TimePoint> time = span.ok() ? Result<TimePoint>(now - *span) : parse_rfc3339(*since);
    if (!time.ok()) {
      return invalid_argument("query.time", "since is a time like 2026-01-02T03:04:05Z or a span like 10m: " + *since, "/since");
    }
    parsed.selection.since = *time;
  }
  return parsed;
}

/// What a request asks for, beyond which part.
struct LogForm {
  bool events = false;
  std::optional<ByteRange> range;
};

LogForm form_of(const net::Request& request) {
  LogForm form;
  form.events = request.headers.get("accept").value_or("").find("text/event-stream") != std::string_view::npos;
  if (!form.events) form.range = parse_byte_range(request.headers.get("range").value_or(""));
  return form;
}

void stream_log(const JobContext& context, WatchedLogStore& logs, LogFollower::Options options, const net::ResponderPtr& responder) {
  net::Response head;
  head.headers.set("Content-Type", options.plain ? "text/plain; charset=utf-8" : "text/event-stream");
  head.headers.set("Cache-Control", "no-store");
  auto stream = responder->stream(std::move(head));
  context.strand.post([context, &logs, options = std::move(options), stream] {
    std::make_shared<LogFollower>(context, logs, options, stream)->start();  // shared: subscriptions and stream hold it
  });
}

/// The log of a job that the caller may see.
void answer_log(const JobContext& context, WatchedLogStore& logs, const jobs::Job& job, const LogFollower::Options& options,
                const LogForm& form, const net::ResponderPtr& responder, const std::string& request_id) {
  if (form.events || options.follow) return stream_log(context, logs, options, responder);
  const AttemptNumber attempt = options.resume ? options.resume->attempt : job.attempt.number;
  context.reads.post([&logs, job, attempt, options, form, responder, request_id] {
    // Bytes are counted in what one rank wrote.
    const bool one_rank = options.rank || job.spec.tasks == 1;
    const bool whole = !options.selection.since && !options.selection.tail;
    if (form.range && one_rank && whole) {
      return responder->respond(log_range(logs, {{job.id, attempt}, options.rank.value_or(0)}, *form.range, request_id));
    }
    net::Response text = net::text_response(200, plain_text(logs, job, attempt, options.rank, options.selection));
    if (one_rank && whole) text.headers.set("Accept-Ranges", "bytes");
    responder->respond(std::move(text));
  });
}

void serve(JobContext context, WatchedLogStore& logs, const net::Request& request, const net::ResponderPtr& responder) {
  const Result<LogRequest> parsed = parse_request(request, context.clock.now());
  if (!parsed.ok()) return responder->respond(net::problem_response(parsed.error(), request.request_id));
  const LogForm form = form_of(request);
  LogFollower::Options options{parsed->job,
                               net::query_is_set(request, "follow"),
                               !form.events,
                               parsed->rank,
                               parse_position(request.headers.get("last-event-id").value_or("")),
                               parsed->selection};
  if (parsed->attempt && !options.resume) options.resume = LogPosition{AttemptNumber(*parsed->attempt), {}};
  find_job_for(context, request, net::Permission::kViewer,
               [=, asked = *parsed, &logs, request_id = request.request_id](const Result<jobs::Job>& job) {
                 const Result<void> known = job.ok() ? check_asked(asked, *job) : Result<void>(job.error());
                 if (!known.ok()) return responder->respond(net::problem_response(known.error(), request_id));
                 answer_log(context, logs, *job, options, form, responder, request_id);
               });
}

net::RouteDoc logs_doc() {
  return {
      .operation = "getJobLogs",
      .tag = "jobs",
      .summary = "What a job wrote, as text or as a stream of records.",
      .parameters = {net::path_text("id", "Number of the job."),
                     net::query_integer("attempt", {.min = 0, .max = 4'294'967'295.0}, std::nullopt, "Which attempt; absent: the newest."),
                     net::query_integer("rank", {.min = 0, .max = 4'294'967'295.0}, std::nullopt, "Which rank; absent: all."),
                     net::query_integer("tail", {.min = 1, .max = 1e6}, std::nullopt, "Only so many lines at the end, of each rank."),
                     net::query_text("since", "Only what was written since: a time, or a span like 10m."),
                     net::query_flag("follow", "Whether the answer goes on until the job has ended, as text or as a stream."),
                     net::header_text("Last-Event-ID", "Where a stream resumes: the id of its last event."),
                     net::header_text("Range", "bytes=FIRST-LAST of the text of one rank; not together with since, tail or follow.")},
      .answers = {net::text_answer(200, "text/plain", "The text, or with `Accept: text/event-stream` a stream."),
                  net::AnswerDoc{206, "The range of the text.", nullptr, "text/plain", {"Content-Range"}},
                  net::event_stream_answer("Each record as an event `log`; the last event is `end`.")},
      .problems = {416},
      .namespaced = true};
}

}  // namespace

void add_log_routes(net::Router& router, JobContext context, WatchedLogStore& logs) {
  router.add(
      {"GET", "/api/v1/jobs/{id}/logs", net::Permission::kViewer,
       [context, &logs](const net::Request& request, const net::ResponderPtr& responder) { serve(context, logs, request, responder); },
       std::size_t{1} << 16, logs_doc()});
}

}  // namespace trainyard::api
