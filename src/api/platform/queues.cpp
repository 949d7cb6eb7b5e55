#include "api/platform/queues.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/platform/paging.h"

namespace trainyard::api {
namespace {

/// Quantities of the three kinds that every cluster has; what is not limited is left out.
struct AmountsView {
  static constexpr std::string_view kSchemaName = "Amounts";
  std::optional<double> cpu;
  std::optional<std::string> memory;
  std::optional<double> gpu;
  void describe(FieldVisitor& fields) {
    fields.field("cpu", cpu, "Cores.");
    fields.field("memory", memory, "Memory, like 16GiB.");
    fields.field("gpu", gpu, "Devices.");
  }
};

struct QueueView {
  static constexpr std::string_view kSchemaName = "Queue";
  std::string name;
  std::optional<std::string> parent;
  std::string state = "open";
  bool stopped = false;
  std::optional<std::string> reason;
  std::optional<std::string> stopped_by;
  std::optional<TimePoint> stopped_since;
  std::int64_t pending = 0;
  std::int64_t running = 0;
  AmountsView used;
  std::optional<AmountsView> quota;
  double share = 0;
  double weight = 1;
  std::string order;
  std::string backfill;
  std::string placement;
  void describe(FieldVisitor& fields) {
    fields.field("name", name, "Name of the queue.");
    fields.field("parent", parent, "The queue it belongs to.");
    fields.choice("state", state, {"open", "stopped", "draining"}, "stopped: nothing starts; draining: it takes no new jobs.");
    fields.field("stopped", stopped, "Whether nothing starts.");
    fields.field("reason", reason, "What the operator who stopped it said.");
    fields.field("stopped_by", stopped_by, "Who stopped it; absent: its settings.");
    fields.field("stopped_since", stopped_since, "Since when.");
    fields.field("pending", pending, {.min = 0}, "Jobs that the planner sees waiting; held ones are not among them.");
    fields.field("running", running, {.min = 0}, "Jobs that hold room, in it and below.");
    fields.field("used", used, "What they hold.");
    fields.field("quota", quota, "What is its own; absent: nothing limits it.");
    fields.field("share", share, {.min = 0}, "The largest part of any resource of the cluster that it holds, from 0 to 1.");
    fields.field("weight", weight, {.min = 0}, "Its weight among its siblings.");
    fields.field("order", order, "Policy of the order of its jobs.");
    fields.field("backfill", backfill, "Policy of what may overtake.");
    fields.field("placement", placement, "Policy of the choice of nodes.");
  }
};

struct QueueList {
  static constexpr std::string_view kSchemaName = "QueueList";
  std::vector<QueueView> queues;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields) {
    fields.field("queues", queues, "By name.");
    fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
  }
};

std::optional<std::int64_t> limited(std::int64_t amount) { return amount >= sched::kUnlimited ? std::nullopt : std::optional(amount); }

AmountsView view_of(const sched::Amounts& amounts) {
  AmountsView view;
  if (const auto cpu = limited(amounts[sched::kCpu])) view.cpu = static_cast<double>(*cpu) / 1000;
  if (const auto memory = limited(amounts[sched::kMemory])) view.memory = format_byte_size({*memory});
  if (const auto gpu = limited(amounts[sched::kGpu])) view.gpu = static_cast<double>(*gpu) / 1000;
  return view;
}

double dominant_share(const sched::Amounts& used, const sched::Amounts& capacity) {
  double share = 0;
  for (const std::size_t kind : {sched::kCpu, sched::kMemory, sched::kGpu}) {
    if (capacity[kind] > 0) share = std::max(share, static_cast<double>(used[kind]) / static_cast<double>(capacity[kind]));
  }
  return share;
}

std::string state_name(sched::QueueSettings::State state) {
  switch (state) {
    case sched::QueueSettings::State::kOpen:
      return "open";
    case sched::QueueSettings::State::kStopped:
      return "stopped";
    case sched::QueueSettings::State::kDraining:
      return "draining";
  }
  return "open";
}

/// By name.
std::vector<QueueView> queues_of(const jobs::SchedulerBook& book) {
  const sched::SchedulerState& planner = book.state();
  const sched::QueueSnapshot& tree = planner.queue;
  std::vector<QueueView> views;
  for (const sched::QueueState& queue : tree.queues()) {
    // The root stands for the whole unless it is all there is.
    if (queue.parent == sched::kNoIndex && !queue.leaf()) continue;
    QueueView view;
    view.name = queue.settings.name;
    if (!queue.settings.parent.empty()) view.parent = queue.settings.parent;
    view.state = state_name(queue.settings.state);
    view.stopped = queue.settings.state == sched::QueueSettings::State::kStopped;
    if (const auto stop = book.stops().find(view.name); stop != book.stops().end()) {
      if (!stop->second.reason.empty()) view.reason = stop->second.reason;
      view.stopped_by = stop->second.by;
      view.stopped_since = stop->second.since;
    }
    view.pending = static_cast<std::int64_t>(queue.pending.size());
    view.running = queue.running_jobs;
    view.used = view_of(queue.usage);
    if (queue.settings.nominal) view.quota = view_of(*queue.settings.nominal);
    view.share = dominant_share(queue.usage, planner.cluster.capacity());
    view.weight = static_cast<double>(queue.settings.weight_milli) / 1000;
    view.order = queue.settings.order;
    view.backfill = queue.settings.backfill;
    view.placement = queue.settings.placement;
    views.push_back(std::move(view));
  }
  std::sort(views.begin(), views.end(), [](const QueueView& a, const QueueView& b) { return a.name < b.name; });
  return views;
}

void list(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  context.strand.post([context, request, responder] {
    QueueList list;
    list.queues = queues_of(context.jobs.book());
    const Result<void> cut = take_page(request, "queues", list.queues, list.next_cursor);
    responder->respond(cut.ok() ? net::json_response(200, encode(list)) : net::problem_response(cut.error(), request.request_id));
  });
}

Error unknown_queue(const std::string& name) {
  return not_found("queue.unknown", fmt::format("there is no queue of this name; `trainyard queue ls` lists them: {}", name));
}

Result<QueueView> find_queue(const jobs::JobService& service, const std::string& name) {
  const std::vector<QueueView> queues = queues_of(service.book());
  const auto found = std::find_if(queues.begin(), queues.end(), [&](const QueueView& queue) { return queue.name == name; });
  return found == queues.end() ? Result<QueueView>(unknown_queue(name)) : Result<QueueView>(*found);
}

void get(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  context.strand.post([context, request, responder] {
    reply(responder, request.request_id, find_queue(context.jobs, request.path_parameters.at("name")),
          [](const QueueView& queue) { return net::json_response(200, encode(queue)); });
  });
}

/// What an operator may say about a change of a queue.
struct QueueChange {
  static constexpr std::string_view kSchemaName = "QueueChange";
  std::string reason;
  void describe(FieldVisitor& fields) { fields.field("reason", reason, "Why, for those who wonder."); }
};

/// Blocks. A queue that is as its settings say needs no entry.
Result<void> keep(cluster::QueueIntents& intents, const cluster::QueueIntent& intent, bool settings_stop) {
  if (!intent.stopped && !settings_stop) return intents.clear(intent.queue);
  return intents.set(intent);
}

/// Makes it durable first; then the planner is told, and the answer comes.
void change(const QueueControl& control, const net::Request& request, const net::ResponderPtr& responder, bool stopped) {
  const Result<Document> body = request.body.empty() ? Document::object() : parse_json(request.body);
  const Result<QueueChange> said = body.ok() ? decode<QueueChange>(*body, {.numbers_as_text = false}) : Result<QueueChange>(body.error());
  if (!said.ok()) return responder->respond(net::problem_response(said.error(), request.request_id));
  const cluster::QueueIntent intent{request.path_parameters.at("name"), stopped, said->reason, request.principal.name,
                                    control.jobs.clock.now()};
  control.jobs.strand.post([control, intent, responder, request_id = request.request_id] {
    const Result<QueueView> known = find_queue(control.jobs.jobs, intent.queue);
    const Result<bool> settings_stop = control.jobs.jobs.book().is_stopped_by_settings(intent.queue);
    if (!known.ok() || !settings_stop.ok()) return responder->respond(net::problem_response(unknown_queue(intent.queue), request_id));
    control.writes.post([control, intent, settings_stop = *settings_stop, responder, request_id] {
      const Result<void> kept = keep(control.intents, intent, settings_stop);
      if (!kept.ok()) return responder->respond(net::problem_response(kept.error(), request_id));
      control.jobs.strand.post([control, intent, responder, request_id] {
        const Result<void> told = apply_queue_intent(control.jobs.jobs, intent);
        const Result<QueueView> queue = told.ok() ? find_queue(control.jobs.jobs, intent.queue) : Result<QueueView>(told.error());
        reply(responder, request_id, queue, [](const QueueView& view) { return net::json_response(200, encode(view)); });
      });
    });
  });
}

net::RouteDoc change_doc(std::string operation, std::string summary) {
  net::BodyDoc body = net::json_body<QueueChange>("Why.");
  body.required = false;
  return {.operation = std::move(operation),
          .tag = "queues",
          .summary = std::move(summary),
          .parameters = {net::path_text("name", "Name of the queue.")},
          .body = std::move(body),
          .answers = {net::json_answer<QueueView>(200, "The queue as it is now.")}};
}

}  // namespace

void add_queue_routes(net::Router& router, JobContext context) {
  router.add({"GET",
              "/api/v1/queues",
              net::Permission::kViewer,
              [context](const net::Request& request, const net::ResponderPtr& responder) { list(context, request, responder); },
              4096,
              {.operation = "listQueues",
               .tag = "queues",
               .summary = "Lists the queues.",
               .parameters = {limit_parameter(), cursor_parameter()},
               .answers = {net::json_answer<QueueList>(200, "A page of them.")}}});
  router.add({"GET",
              "/api/v1/queues/{name}",
              net::Permission::kViewer,
              [context](const net::Request& request, const net::ResponderPtr& responder) { get(context, request, responder); },
              4096,
              {.operation = "getQueue",
               .tag = "queues",
               .summary = "One queue.",
               .parameters = {net::path_text("name", "Name of the queue.")},
               .answers = {net::json_answer<QueueView>(200, "The queue.")}}});
}

Result<void> apply_queue_intent(jobs::JobService& service, const cluster::QueueIntent& intent) {
  if (!intent.stopped) return service.set_queue_stop(intent.queue, std::nullopt);
  return service.set_queue_stop(intent.queue, jobs::QueueStop{intent.reason, intent.by, intent.since});
}

void add_queue_control_routes(net::Router& router, QueueControl control) {
  const auto change_to = [control](bool stopped) {
    return [control, stopped](const net::Request& request, const net::ResponderPtr& responder) {
      change(control, request, responder, stopped);
    };
  };
  router.add({"POST", "/api/v1/queues/{name}/stop", net::Permission::kOperator, change_to(true), 4096,
              change_doc("stopQueue", "Starts no job of a queue any more; what runs goes on, and submits are taken.")});
  router.add({"POST", "/api/v1/queues/{name}/start", net::Permission::kOperator, change_to(false), 4096,
              change_doc("startQueue", "Lets the jobs of a queue start again.")});
}

}  // namespace trainyard::api
