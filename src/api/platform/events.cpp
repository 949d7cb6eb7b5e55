#include "api/platform/events.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <deque>
#include <limits>
#include <set>

#include "api/platform/job_views.h"
#include "api/platform/paging.h"

namespace trainyard::api {
namespace {

constexpr std::size_t kPage = 1'000;
constexpr std::size_t kPagesMax = 10;  ///< That one request reads in search of events of its types.
constexpr int kStreamsMax = 256;
constexpr std::size_t kBufferedMax = 10'000;

Document event_document(const store::EventRecord& event) {
  Document out = Document::object();
  out.set("number", event.number.text());
  out.set("job", event.job.text());
  out.set("time", to_rfc3339(event.time));
  out.set("type", event.type);
  if (Result<Document> values = parse_json(event.body); values.ok()) out.set("values", std::move(values).value());
  return out;
}

std::string sse_text(const store::EventRecord& event) {
  return net::sse_event(event.number.text(), event.type, to_json(event_document(event)));
}

/// Which events a client asked for.
struct Wanted {
  JobId job;                    ///< Invalid: of all jobs.
  std::set<std::string> types;  ///< Empty: all.
  bool takes(const store::EventRecord& event) const {
    return (!job.valid() || event.job == job) && (types.empty() || types.contains(event.type));
  }
};

Wanted wanted_by(const net::Request& request, JobId job) {
  Wanted wanted{job, {}};
  const std::string text = request.query_value("type").value_or("");
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    if (comma > at) wanted.types.insert(text.substr(at, comma - at));
    at = comma + 1;
  }
  return wanted;
}

/// One client that follows the event log: first what the ledger holds, then what is published, each event once and in order.
/// Lives on the strand; the ledger is read on the reading thread.
class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  EventStream(JobContext context, Wanted wanted, EventNumber after,
              std::shared_ptr<net::ResponseStream> stream)  // shared: as the port says
      : context_(context), wanted_(std::move(wanted)), sent_(after), stream_(std::move(stream)) {}

  void start() {
    subscription_ = context_.jobs.subscribe([self = shared_from_this()](const store::EventRecord& event) { self->on_event(event); });
    stream_->on_closed([self = shared_from_this()] { self->context_.strand.post([self] { self->end(); }); });
    context_.jobs.barrier([self = shared_from_this()] { self->read_page(); });
  }

 private:
  void read_page() {
    context_.reads.post([self = shared_from_this(), after = sent_] {
      Result<std::vector<store::EventRecord>> page = self->context_.ledger.events(after, self->wanted_.job, kPage);
      self->context_.strand.post([self, page = std::move(page)] { self->on_page(page); });
    });
  }

  void on_page(const Result<std::vector<store::EventRecord>>& page) {
    if (ended_) return;
    if (!page.ok()) return end();
    for (const store::EventRecord& event : *page) send(event);
    if (page->size() == kPage) return read_page();
    caught_up_ = true;
    for (const store::EventRecord& event : std::exchange(buffered_, {})) send(event);
  }

  void on_event(const store::EventRecord& event) {
    if (ended_ || !wanted_.takes(event)) return;
    if (caught_up_) return send(event);
    buffered_.push_back(event);
    if (buffered_.size() > kBufferedMax) end();
  }

  void send(const store::EventRecord& event) {
    if (ended_ || event.number <= sent_) return;
    sent_ = event.number;
    if (!wanted_.takes(event)) return;
    if (!stream_->write(sse_text(event))) end();
  }

  void end() {
    if (ended_) return;
    ended_ = true;
    stream_->close();
    context_.strand.post([self = shared_from_this()] { self->context_.jobs.unsubscribe(self->subscription_); });
  }

  JobContext context_;
  const Wanted wanted_;
  EventNumber sent_;
  std::shared_ptr<net::ResponseStream> stream_;  // shared: as the port says
  std::deque<store::EventRecord> buffered_;
  std::uint64_t subscription_ = 0;
  bool caught_up_ = false;
  bool ended_ = false;
};

/// Behind every event: EventNumbers do not reach it.
constexpr EventNumber kLatest(std::numeric_limits<std::uint64_t>::max());

Result<EventNumber> start_after(const net::Request& request) {
  const std::string text(request.headers.get("last-event-id").value_or(request.query_value("after").value_or("0")));
  if (text == "latest") return kLatest;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return EventNumber(value);
  return invalid_argument("events.after",
                          fmt::format("events begin behind the number of the last one seen, or behind the latest: {}", text), "/after");
}

/// What a page is made of.
struct Read {
  std::vector<store::EventRecord> events;
  EventNumber looked_at;  ///< Number of the last event that was looked at.
};

/// At most `limit` events, out of at most kPagesMax pages of the ledger. Blocks.
Result<Read> read_events(store::JobLedger& ledger, const Wanted& wanted, EventNumber after, std::size_t limit) {
  Read read{{}, after};
  const std::size_t size = wanted.types.empty() ? limit : kPage;
  for (std::size_t pages = 0; pages < kPagesMax; ++pages) {
    ASSIGN_OR_RETURN(std::vector<store::EventRecord> page, ledger.events(read.looked_at, wanted.job, size));
    for (store::EventRecord& event : page) {
      read.looked_at = event.number;
      if (wanted.takes(event)) read.events.push_back(std::move(event));
      if (read.events.size() == limit) return read;
    }
    if (page.size() < size) break;
  }
  return read;
}

void page(JobContext context, Wanted wanted, EventNumber after, std::size_t limit, const net::ResponderPtr& responder,
          const std::string& request_id) {
  context.strand.post([context, wanted = std::move(wanted), after, limit, responder, request_id] {
    context.jobs.barrier([context, wanted, after, limit, responder, request_id] {
      const EventNumber newest = context.jobs.last_event();
      context.reads.post([context, wanted, after = std::min(after, newest), newest, limit, responder, request_id] {
        reply(responder, request_id, read_events(context.ledger, wanted, after, limit), [newest](const Read& read) {
          Document items = Document::array();
          for (const store::EventRecord& event : read.events) items.push(event_document(event));
          Document body = Document::object();
          body.set("events", std::move(items));
          body.set("looked_at", read.looked_at.text());
          body.set("newest", newest.text());
          return net::json_response(200, body);
        });
      });
    });
  });
}

void follow(JobContext context, Wanted wanted, EventNumber after, const net::ResponderPtr& responder, const std::string& request_id) {
  static std::atomic<int> open_streams{0};
  if (open_streams.fetch_add(1) >= kStreamsMax) {
    --open_streams;
    return responder->respond(
        net::problem_response(unavailable("events.too_many", "too many clients follow events: try again later"), request_id));
  }
  net::Response head;
  head.headers.set("Content-Type", "text/event-stream");
  head.headers.set("Cache-Control", "no-store");
  auto stream = responder->stream(std::move(head));
  stream->on_closed([] { --open_streams; });
  context.strand.post([context, wanted = std::move(wanted), after, stream] {
    // What has a number by now is not news.
    const EventNumber from = after == kLatest ? context.jobs.last_event() : after;
    std::make_shared<EventStream>(context, wanted, from, stream)->start();  // shared: subscription and stream hold it
  });
}

void serve(JobContext context, const net::Request& request, const net::ResponderPtr& responder) {
  JobId job;
  if (const auto id = request.path_parameters.find("id"); id != request.path_parameters.end()) {
    const Result<JobId> parsed = parse_job_id(id->second);
    if (!parsed.ok()) return responder->respond(net::problem_response(parsed.error(), request.request_id));
    job = *parsed;
  }
  const Result<EventNumber> after = start_after(request);
  if (!after.ok()) return responder->respond(net::problem_response(after.error(), request.request_id));
  const bool streamed = request.headers.get("accept").value_or("").find("text/event-stream") != std::string_view::npos;
  Wanted wanted = wanted_by(request, job);
  if (streamed) return follow(context, std::move(wanted), *after, responder, request.request_id);
  const auto limit = static_cast<std::size_t>(net::query_number(request, "limit", kPage));
  page(context, std::move(wanted), *after, limit, responder, request.request_id);
}

net::RouteDoc events_doc(std::string operation, std::string summary, bool of_one_job) {
  net::RouteDoc doc{
      .operation = std::move(operation),
      .tag = "events",
      .summary = std::move(summary),
      .parameters = {net::query_text("after", "Only events with greater numbers; latest: only those from now on. Absent: all there are."),
                     net::query_text("type", "Only events of these types, as checkpoint,result. A page then begins behind `looked_at`."),
                     limit_parameter(kPage),
                     net::header_text("Last-Event-ID", "Where a stream resumes: the number of the last event seen; goes before `after`.")},
      .answers = {net::json_answer<EventPage>(200, "A page, or with `Accept: text/event-stream` a stream."),
                  net::event_stream_answer("Each event as it happens; its id is its number.")},
      .namespaced = true};
  if (of_one_job) doc.parameters.push_back(net::path_text("id", "Number of the job."));
  return doc;
}

}  // namespace

void add_event_routes(net::Router& router, JobContext context) {
  const net::Handler of_all = [context](const net::Request& request, const net::ResponderPtr& responder) {
    if (net::may_everywhere(request.principal, net::Permission::kViewer)) return serve(context, request, responder);
    responder->respond(net::problem_response(
        Error{Category::kPermissionDenied,
              "auth.forbidden",
              "the events of all jobs are for those who see all namespaces; ask for those of one job: /api/v1/jobs/{id}/events",
              {},
              {}},
        request.request_id));
  };
  const net::Handler of_one = [context](const net::Request& request, const net::ResponderPtr& responder) {
    find_job_for(context, request, net::Permission::kViewer, [context, request, responder](const Result<jobs::Job>& job) {
      if (!job.ok()) return responder->respond(net::problem_response(job.error(), request.request_id));
      serve(context, request, responder);
    });
  };
  router.add({"GET", "/api/v1/events", net::Permission::kViewer, of_all, std::size_t{1} << 16,
              events_doc("listEvents", "What happened to all jobs, as a page or a stream.", false)});
  router.add({"GET", "/api/v1/jobs/{id}/events", net::Permission::kViewer, of_one, std::size_t{1} << 16,
              events_doc("listJobEvents", "What happened to one job, as a page or a stream.", true)});
}

}  // namespace trainyard::api
