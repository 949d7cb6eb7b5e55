#include "api/platform/events.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <deque>

#include "api/platform/job_views.h"
#include "api/platform/paging.h"

namespace trainyard::api {
namespace {

constexpr std::size_t kPage = 1'000;
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

/// One client that follows the event log: first what the ledger holds, then what is published, each event once and in order.
/// Lives on the strand; the ledger is read on the reading thread.
class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  EventStream(JobContext context, JobId job, EventNumber after, std::shared_ptr<net::ResponseStream> stream)  // shared: as the port says
      : context_(context), job_(job), sent_(after), stream_(std::move(stream)) {}

  void start() {
    subscription_ = context_.jobs.subscribe([self = shared_from_this()](const store::EventRecord& event) { self->on_event(event); });
    stream_->on_closed([self = shared_from_this()] { self->context_.strand.post([self] { self->end(); }); });
    context_.jobs.barrier([self = shared_from_this()] { self->read_page(); });
  }

 private:
  void read_page() {
    context_.reads.post([self = shared_from_this(), after = sent_] {
      Result<std::vector<store::EventRecord>> page = self->context_.ledger.events(after, self->job_, kPage);
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
    if (ended_ || (job_.valid() && event.job != job_)) return;
    if (caught_up_) return send(event);
    buffered_.push_back(event);
    if (buffered_.size() > kBufferedMax) end();
  }

  void send(const store::EventRecord& event) {
    if (ended_ || event.number <= sent_) return;
    sent_ = event.number;
    if (!stream_->write(sse_text(event))) end();
  }

  void end() {
    if (ended_) return;
    ended_ = true;
    stream_->close();
    context_.strand.post([self = shared_from_this()] { self->context_.jobs.unsubscribe(self->subscription_); });
  }

  JobContext context_;
  JobId job_;
  EventNumber sent_;
  std::shared_ptr<net::ResponseStream> stream_;  // shared: as the port says
  std::deque<store::EventRecord> buffered_;
  std::uint64_t subscription_ = 0;
  bool caught_up_ = false;
  bool ended_ = false;
};

Result<EventNumber> start_after(const net::Request& request) {
  const std::string text(request.headers.get("last-event-id").value_or(request.query_value("after").value_or("0")));
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return EventNumber(value);
  return invalid_argument("events.after", fmt::format("Last-Event-ID is the number of the last event seen: {}", text));
}

void page(JobContext context, JobId job, EventNumber after, std::size_t limit, const net::ResponderPtr& responder,
          const std::string& request_id) {
  context.strand.post([context, job, after, limit, responder, request_id] {
    context.jobs.barrier([context, job, after, limit, responder, request_id] {
      context.reads.post([context, job, after, limit, responder, request_id] {
        reply(responder, request_id, context.ledger.events(after, job, limit), [](const std::vector<store::EventRecord>& events) {
          Document items = Document::array();
          for (const store::EventRecord& event : events) items.push(event_document(event));
          Document body = Document::object();
          body.set("events", std::move(items));
          return net::json_response(200, body);
        });
      });
    });
  });
}

void follow(JobContext context, JobId job, EventNumber after, const net::ResponderPtr& responder, const std::string& request_id) {
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
  context.strand.post([context, job, after, stream] {
    std::make_shared<EventStream>(context, job, after, stream)->start();  // shared: subscription and stream hold it
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
  if (streamed) return follow(context, job, *after, responder, request.request_id);
  const auto limit = static_cast<std::size_t>(net::query_number(request, "limit", kPage));
  page(context, job, *after, limit, responder, request.request_id);
}

net::RouteDoc events_doc(std::string operation, std::string summary, bool of_one_job) {
  net::RouteDoc doc{
      .operation = std::move(operation),
      .tag = "events",
      .summary = std::move(summary),
      .parameters = {net::query_integer("after", {.min = 0, .max = 9e15}, 0, "Only events with greater numbers."), limit_parameter(kPage),
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
