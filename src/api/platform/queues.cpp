#include "api/platform/queues.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/platform/paging.h"

namespace trainyard::api {
namespace {

/// Quantities of the three kinds that every cluster has; what is not limited is left out.
struct AmountsView {
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
std::vector<QueueView> queues_of(const sched::SchedulerState& planner) {
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
    list.queues = queues_of(context.jobs.planner_state());
    const Result<void> cut = take_page(request, "queues", list.queues, list.next_cursor);
    responder->respond(cut.ok() ? net::json_response(200, encode(list)) : net::problem_response(cut.error(), request.request_id));
  });
}

void get(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  context.strand.post([context, request, responder] {
    const std::string& name = request.path_parameters.at("name");
    const std::vector<QueueView> queues = queues_of(context.jobs.planner_state());
    const auto found = std::find_if(queues.begin(), queues.end(), [&](const QueueView& queue) { return queue.name == name; });
    if (found != queues.end()) return responder->respond(net::json_response(200, encode(*found)));
    responder->respond(net::problem_response(
        not_found("queue.unknown", fmt::format("there is no queue of this name; `trainyard queue ls` lists them: {}", name)),
        request.request_id));
  });
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

}  // namespace trainyard::api
