#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "apps/cli/arguments.h"
#include "apps/cli/gathered_items.h"
#include "apps/cli/job_submit.h"
#include "apps/cli/resources.h"
#include "apps/cli/top.h"
#include "apps/cli/watch.h"

namespace trainyard::apps {
namespace {

constexpr std::int64_t kAll = 100'000;

void show_list(CommandContext& context, const Arguments& arguments, const std::string& target, const ResourceView& view) {
  if (arguments.given("watch")) {
    const Result<void> watched = watch_list(context, {target, "", &view, kAll, false}, reconnect_time(context, arguments));
    if (!watched.ok()) context.fail(watched.error());
    return;
  }
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> page = api.ok() ? fetch_list(**api, target, view.plural, kAll) : Result<Document>(api.error());
  if (!page.ok()) return context.fail(page.error());
  print_list(context, *page, view);
}

void show_one(CommandContext& context, const Arguments& arguments, const std::string& collection, const ResourceView& view) {
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> item =
      api.ok() ? (*api)->get(collection + "/" + net::percent_encode(arguments.text("name"))) : Result<Document>(api.error());
  if (!item.ok()) return context.fail(item.error());
  print_item(context, *item, view, to_yaml);
}

using Act = std::function<Result<Document>(client::ApiClient& api, const std::string& path)>;

/// Does it to every name of a collection in turn; the worst exit code counts. `done` is what is told of it.
void act_on_each(CommandContext& context, const Arguments& arguments, const std::string& collection, const ResourceView& view,
                 const std::string& done, const Act& act) {
  const Result<client::ApiClient*> api = context.api();
  if (!api.ok()) return context.fail(api.error());
  int worst = kOk;
  const std::vector<std::string> names = arguments.all("name");
  GatheredItems answers(context, view.plural, names.size() > 1);
  for (const std::string& name : names) {
    const Result<Document> answer = act(**api, collection + "/" + net::percent_encode(name));
    if (answer.ok()) {
      Document shown = *answer;
      if (shown[view.id].is_null()) shown.set(view.id, name);
      answers.add(std::move(shown), view, [&](const Document&) { return fmt::format("{} {}: {}\n", view.noun, name, done); });
    } else {
      context.fail(answer.error());
      worst = std::max(worst, context.exit_code);
    }
  }
  answers.finish();
  context.exit_code = worst;
}

void post_to_each(CommandContext& context, const Arguments& arguments, const std::string& collection, const std::string& verb,
                  const ResourceView& view, const Document& body) {
  act_on_each(context, arguments, collection, view, verb,
              [&](client::ApiClient& api, const std::string& path) { return api.post(path + "/" + verb, body); });
}

Document reason_body(const Arguments& arguments) {
  Document body = Document::object();
  if (arguments.given("reason")) body.set("reason", arguments.text("reason"));
  return body;
}

void list_queues(CommandContext& context, const Arguments& arguments) { show_list(context, arguments, "/api/v1/queues", queues_view()); }
void get_queue(CommandContext& context, const Arguments& arguments) { show_one(context, arguments, "/api/v1/queues", queues_view()); }
void stop_queue(CommandContext& context, const Arguments& arguments) {
  post_to_each(context, arguments, "/api/v1/queues", "stop", queues_view(), reason_body(arguments));
}
void start_queue(CommandContext& context, const Arguments& arguments) {
  post_to_each(context, arguments, "/api/v1/queues", "start", queues_view(), Document::object());
}

void list_nodes(CommandContext& context, const Arguments& arguments) { show_list(context, arguments, "/api/v1/nodes", nodes_view()); }
void get_node(CommandContext& context, const Arguments& arguments) { show_one(context, arguments, "/api/v1/nodes", nodes_view()); }
void cordon(CommandContext& context, const Arguments& arguments) {
  post_to_each(context, arguments, "/api/v1/nodes", "cordon", nodes_view(), reason_body(arguments));
}
void uncordon(CommandContext& context, const Arguments& arguments) {
  post_to_each(context, arguments, "/api/v1/nodes", "uncordon", nodes_view(), Document::object());
}
void drain(CommandContext& context, const Arguments& arguments) {
  const std::string question = fmt::format("drain {}: its jobs leave", fmt::join(arguments.all("name"), ", "));
  if (const Result<void> sure = confirm(context, arguments.given("yes"), question); !sure.ok()) return context.fail(sure.error());
  post_to_each(context, arguments, "/api/v1/nodes", "drain", nodes_view(), reason_body(arguments));
}

void remove_nodes(CommandContext& context, const Arguments& arguments) {
  const std::string question = fmt::format("forget {} and what its agent joined with", fmt::join(arguments.all("name"), ", "));
  if (const Result<void> sure = confirm(context, arguments.given("yes"), question); !sure.ok()) return context.fail(sure.error());
  act_on_each(context, arguments, "/api/v1/nodes", nodes_view(), "removed",
              [](client::ApiClient& api, const std::string& path) { return api.remove(path); });
}

void list_pools(CommandContext& context, const Arguments& arguments) { show_list(context, arguments, "/api/v1/pools", pools_view()); }

void usage(CommandContext& context, const Arguments& arguments) {
  const Query query = Query().add("by", arguments.text("by")).add("from", arguments.text("from")).add("to", arguments.text("to"));
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> page = api.ok() ? (*api)->get("/api/v1/usage" + query.text()) : Result<Document>(api.error());
  if (!page.ok()) return context.fail(page.error());
  print_list(context, *page, usage_view());
}

void top(CommandContext& context, const Arguments& arguments) {
  const std::chrono::milliseconds every = std::chrono::duration_cast<std::chrono::milliseconds>(arguments.duration("every"));
  run_top(context, std::max(every, std::chrono::milliseconds(200)));
}

const OptionSpec kWatch{.name = "watch", .letter = 'w', .doc = "Go on with every change, looked at once a second"};
const OptionSpec kReconnect{
    .name = "reconnect-for", .value = "TIME", .doc = "How long the server may be away [5m]", .type = ValueType::kDuration};
const OptionSpec kReason{.name = "reason", .value = "TEXT", .doc = "Why, for whoever looks"};
const OptionSpec kYes{.name = "yes", .letter = 'y', .doc = "Do not ask"};

CommandSpec lists(std::string path, std::string summary, CommandHandler run) {
  std::vector<ExampleSpec> examples{{"trainyard " + path, ""}, {"trainyard " + path + " -o json", ""}};
  return {.path = std::move(path),
          .summary = std::move(summary),
          .options = {kWatch, kReconnect},
          .examples = std::move(examples),
          .exits = exits_with_server(),
          .run = run};
}

CommandSpec acts(std::string path, std::string summary, Names names, std::vector<OptionSpec> options, CommandHandler run,
                 const std::string& example) {
  std::vector<ExampleSpec> examples{{"trainyard " + path + " " + example, ""}};
  return {.path = std::move(path),
          .summary = std::move(summary),
          .arguments = {{.name = "name", .doc = "Its name", .required = true, .repeated = true, .names = names}},
          .options = std::move(options),
          .examples = std::move(examples),
          .exits = exits_with_server(),
          .run = run};
}

CommandSpec gets(std::string path, std::string summary, Names names, CommandHandler run, const std::string& example) {
  CommandSpec command = acts(std::move(path), std::move(summary), names, {}, run, example);
  command.arguments[0].repeated = false;
  return command;
}

}  // namespace

std::vector<CommandSpec> cluster_commands() {
  return {
      {.path = "queue", .summary = "Queues, their quotas and who may start"},
      lists("queue ls", "List queues with what waits, runs and is used", list_queues),
      gets("queue get", "Show one queue", Names::kQueue, get_queue, "vision"),
      acts("queue stop", "Let no job of a queue start; what runs goes on", Names::kQueue, {kReason}, stop_queue,
           "vision --reason maintenance"),
      acts("queue start", "Let the jobs of a queue start again", Names::kQueue, {}, start_queue, "vision"),
      {.path = "node", .summary = "Nodes that run jobs"},
      lists("node ls", "List nodes with what they have and use", list_nodes),
      gets("node get", "Show one node", Names::kNode, get_node, "gpu-03"),
      acts("node cordon", "Let no new job start on a node", Names::kNode, {kReason}, cordon, "gpu-03 --reason 'disk exchange'"),
      acts("node uncordon", "Let jobs start on a node again", Names::kNode, {}, uncordon, "gpu-03"),
      acts("node drain", "Let no new job start on a node and send its jobs away", Names::kNode, {kReason, kYes}, drain, "gpu-03 --yes"),
      acts("node rm", "Forget nodes that are gone, with their credentials", Names::kNode, {kYes}, remove_nodes, "gpu-03 --yes"),
      {.path = "pool", .summary = "Pools of nodes"},
      lists("pool ls", "List pools with their backend and size", list_pools),
      {.path = "usage",
       .summary = "What was used, by user, queue, namespace or day",
       .options = {{.name = "by", .value = "WHAT", .doc = "Sum up by", .preset = "user", .choices = {"user", "queue", "namespace", "day"}},
                   {.name = "from", .value = "TIME", .doc = "From this time on, as 2026-01-02T00:00:00Z"},
                   {.name = "to", .value = "TIME", .doc = "Until this time"}},
       .examples = {{"trainyard usage", ""}, {"trainyard usage --by queue --from 2026-01-01T00:00:00Z -o json", ""}},
       .exits = exits_with_server(),
       .run = usage},
      {.path = "top",
       .summary = "Watch queues, nodes and jobs on the whole screen",
       .description = "Keys: up and down select a job, tab changes the part, l shows the job's log, c cancels it after a question, q ends. "
                      "When the output is no "
                      "terminal, one picture is printed.",
       .options = {{.name = "every", .value = "TIME", .doc = "Time between two looks", .preset = "1s", .type = ValueType::kDuration}},
       .examples = {{"trainyard top", ""}, {"trainyard top | head -20", "One picture"}},
       .exits = exits_with_server(),
       .run = top},
  };
}

}  // namespace trainyard::apps
