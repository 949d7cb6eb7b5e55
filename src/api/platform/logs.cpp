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
/// A reader of a long log gets it as fast as it reads: after so many bytes the stream is asked whether there is room.
constexpr std::size_t kAskAfter = 64 * 1024;
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

std::string without_lines(std::string_view text, std::size_t lines) {
  for (; lines > 0; --lines) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return std::string(text);
}

/// The records in which the last lines of a log may begin. A line may be spread over several records.
class Tail {
 public:
  explicit Tail(std::size_t lines) : wanted_(lines) {}

  void add(std::uint64_t offset, std::string_view text) {
    if (text.empty()) return;
    const auto breaks = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    kept_.push_back({offset, breaks, text.back() == '\n'});
    lines_ += breaks;
    drop_what_comes_before();
  }

  /// After the last record, which ends at `end`.
  LogStart start(std::uint64_t end) {
    if (!kept_.empty() && !kept_.back().ends_line) ++lines_;  // The line that is being written counts.
    drop_what_comes_before();
    if (kept_.empty() || wanted_ == 0) return {end, 0};
    return {kept_.front().offset, lines_ > wanted_ ? lines_ - wanted_ : 0};
  }

 private:
  struct Record {
    std::uint64_t offset;
    std::size_t breaks;
    bool ends_line;
  };

  void drop_what_comes_before() {
    while (!kept_.empty() && lines_ > wanted_) {
      const Record& first = kept_.front();
      const std::size_t surplus = lines_ - wanted_;
      if (surplus < first.breaks || (surplus == first.breaks && !first.ends_line)) return;
      lines_ -= first.breaks;
      kept_.pop_front();
    }
  }

  std::size_t wanted_;
  std::size_t lines_ = 0;  ///< That end in what is kept.
  std::deque<Record> kept_;
};

/// The start of the last `lines` lines. Reads the whole log.
LogStart start_of_tail(WatchedLogStore& logs, const RankKey& rank, std::size_t lines) {
  Tail tail(lines);
  std::uint64_t offset = 0;
  for (;;) {
    const Result<store::LogSlice> slice = logs.read(rank, offset, kSliceBytes);
    if (!slice.ok() || slice->records.empty()) return tail.start(offset);
    for (const store::LogRecord& record : slice->records) {
      tail.add(offset, record.bytes);
      offset += encoded_size(record);
    }
  }
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
    const Sent sent = send_attempts(*job);
    if (sent == Sent::kGone) return end();
    if (sent == Sent::kPaused) return;
    if (!is_terminal(job->state) && options_.follow) return;
    if (!options_.plain) {
      Document data = Document::object();
      data.set("state", trainyard::name_of(job->state));
      if (job->exit_code) data.set("exit_code", *job->exit_code);
      stream_->write(net::sse_event(position_text(position_), "end", to_json(data)));
    }
    end();
  }

  enum class Sent { kAll, kPaused, kGone };  ///< Paused: the next round comes when the client has read.

  Sent send_attempts(const jobs::Job& job) {
    if (position_.attempt.value == 0) {
      if (job.attempt.number.value == 0) return Sent::kAll;
      position_ = options_.resume.value_or(LogPosition{job.attempt.number, {}});
      if (!options_.resume || options_.resume->offsets.empty()) begin_at_tail(job);
    }
    for (;;) {
      position_.offsets.resize(std::max(position_.offsets.size(), job.attempt.ranks.size()));
      if (const Sent sent = send_new_records(); sent != Sent::kAll) return sent;
      if (position_.attempt >= job.attempt.number) return Sent::kAll;
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

  bool has_room() {
    unasked_ = 0;
    return stream_->has_room([self = shared_from_this()] { self->wake(); });
  }

  bool send_record(std::uint32_t rank, store::LogRecord record) {
    position_.offsets[rank] += encoded_size(record);
    if (const auto out = left_out_.find(rank); out != left_out_.end()) {
      record.bytes = without_lines(record.bytes, out->second);
      left_out_.erase(out);
    }
    if (!options_.selection.selects(record) || record.bytes.empty()) return true;
    std::string bytes = options_.plain ? std::move(record.bytes) : log_event(position_, rank, record);
    unasked_ += bytes.size();
    return stream_->write(std::move(bytes));
  }

  /// What cannot be read any more is said in its place; it is no end like any other.
  bool send_damage(std::uint32_t rank, const Error& error) {
    if (error.category == Category::kNotFound || !std::exchange(damage_told_, true)) return true;
    store::LogRecord told{context_.clock.now(), store::LogStream::kSystem,
                          "the log cannot be read on from here: " + error.describe() + "\n"};
    return stream_->write(options_.plain ? std::move(told.bytes) : log_event(position_, rank, told));
  }

  Sent send_new_records() {
    if (!has_room()) return Sent::kPaused;
    for (std::uint32_t rank = 0; rank < position_.offsets.size(); ++rank) {
      if (options_.rank && *options_.rank != rank) continue;
      for (;;) {
        const Result<store::LogSlice> slice = logs_.read({{options_.job, position_.attempt}, rank}, position_.offsets[rank], kSliceBytes);
        if (!slice.ok() && !send_damage(rank, slice.error())) return Sent::kGone;
        if (!slice.ok() || slice->records.empty()) break;
        for (const store::LogRecord& record : slice->records) {
          if (unasked_ >= kAskAfter && !has_room()) return Sent::kPaused;
          if (!send_record(rank, record)) return Sent::kGone;
        }
      }
    }
    return Sent::kAll;
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
  std::size_t unasked_ = 0;                        ///< Bytes that were written since there was room.
  bool damage_told_ = false;
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

/// Whether a stream may go on from a place: only between two records. Blocks.
Result<void> check_position(WatchedLogStore& logs, JobId job, const LogPosition& position) {
  for (std::uint32_t rank = 0; rank < position.offsets.size(); ++rank) {
    const Result<store::LogSlice> slice = logs.read({{job, position.attempt}, rank}, position.offsets[rank], 1);
    if (slice.ok() || slice.error().category == Category::kNotFound) continue;
    return invalid_argument("log.position",
                            fmt::format("no record of rank {} begins at this place; give the id of an event as it came, or "
                                        "none to begin anew: {} ({})",
                                        rank, position_text(position), slice.error().describe()),
                            "/Last-Event-ID");
  }
  return {};
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
  if (form.events || options.follow) {
    return context.reads.post([context, &logs, options, responder, request_id] {
      const Result<void> placed = options.resume ? check_position(logs, options.job, *options.resume) : Result<void>();
      if (!placed.ok()) return responder->respond(net::problem_response(placed.error(), request_id));
      stream_log(context, logs, options, responder);
    });
  }
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
                     net::query_integer("tail", {.min = 0, .max = 1e6}, std::nullopt, "Only so many lines at the end, of each rank."),
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
