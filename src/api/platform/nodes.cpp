#include "api/platform/nodes.h"

#include <fmt/format.h>

#include "api/platform/node_views.h"
#include "api/platform/paging.h"

namespace trainyard::api {
namespace {

using exec::NodeState;
using net::Permission;
using net::RouteDoc;

std::optional<exec::NodeView> find_node(const exec::ExecutionBackend& backend, const NodeName& name) {
  for (exec::NodeView& node : backend.nodes()) {
    if (node.name == name) return std::move(node);
  }
  return std::nullopt;
}

Error unknown_node(const NodeName& name) {
  return not_found("node.unknown", fmt::format("there is no node of this name; `trainyard node ls` lists them: {}", name.text));
}

template <typename List, typename Item>
void answer_page(const net::Request& request, const net::ResponderPtr& responder, std::string_view question, List list,
                 std::vector<Item> List::*items) {
  const Result<void> cut = take_page(request, question, list.*items, list.next_cursor);
  responder->respond(cut.ok() ? net::json_response(200, encode(list)) : net::problem_response(cut.error(), request.request_id));
}

void list(const NodeContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  context.strand.post([context, request, responder] {
    NodeList nodes;
    for (const exec::NodeView& node : context.backend.nodes()) nodes.nodes.push_back(node_summary(node));
    answer_page(request, responder, "nodes", std::move(nodes), &NodeList::nodes);
  });
}

void answer_with(const NodeContext& context, const NodeName& name, const net::ResponderPtr& responder, const std::string& request_id) {
  const std::optional<exec::NodeView> node = find_node(context.backend, name);
  responder->respond(node ? net::json_response(200, encode(node_summary(*node))) : net::problem_response(unknown_node(name), request_id));
}

void get(const NodeContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  context.strand.post([context, name = NodeName{request.path_parameters.at("name")}, responder, request_id = request.request_id] {
    answer_with(context, name, responder, request_id);
  });
}

/// Makes it durable first; then the backend is told, and the answer comes.
void change(const NodeContext& context, const net::Request& request, const net::ResponderPtr& responder, NodeState state) {
  Result<Document> body = request.body.empty() ? Document::object() : parse_json(request.body);
  const Result<NodeChange> said = body.ok() ? decode<NodeChange>(*body, {.numbers_as_text = false}) : Result<NodeChange>(body.error());
  if (!said.ok()) return responder->respond(net::problem_response(said.error(), request.request_id));
  const NodeName name{request.path_parameters.at("name")};
  const std::string by = request.principal.name;
  const std::string why = said->reason.empty() ? fmt::format("{} by {}", name_of(state), by) : said->reason;
  context.strand.post([context, name, by, why, state, responder, request_id = request.request_id] {
    if (!find_node(context.backend, name)) return responder->respond(net::problem_response(unknown_node(name), request_id));
    context.writes.post([context, name, by, why, state, responder, request_id] {
      const Result<void> kept = state == NodeState::kReady
                                    ? context.intents.clear(name)
                                    : context.intents.set({name, std::string(name_of(state)), why, by, context.clock.now()});
      if (!kept.ok()) return responder->respond(net::problem_response(kept.error(), request_id));
      context.strand.post([context, name, why, state, responder, request_id] {
        context.set_state(name, state, state == NodeState::kReady ? "" : why);
        answer_with(context, name, responder, request_id);
      });
    });
  });
}

/// Takes a node that is gone off the list. Its credential ends first: the machine cannot come back on its own afterwards.
void remove(const NodeContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  const NodeName name{request.path_parameters.at("name")};
  const access::Caller caller = access::caller_of(request);
  context.strand.post([context, name, caller, responder] {
    const std::optional<exec::NodeView> node = find_node(context.backend, name);
    const Result<void> gone = node ? context.check_gone(name) : Result<void>(unknown_node(name));
    if (!gone.ok()) return responder->respond(net::problem_response(gone.error(), caller.request_id));
    context.writes.post([context, name, caller, responder, node = node_summary(*node)] {
      Result<void> done = context.revoke(caller, name);
      // An agent with a token of its own has no credential that could end.
      if (done.ok() || done.error().category == Category::kNotFound) done = context.intents.clear(name);
      if (!done.ok()) return responder->respond(net::problem_response(done.error(), caller.request_id));
      context.strand.post([context, name, caller, responder, node] {
        const Result<void> removed = context.remove(name);
        // Two may ask for it at the same time.
        const bool away = removed.ok() || removed.error().category == Category::kNotFound;
        responder->respond(away ? net::json_response(200, encode(node)) : net::problem_response(removed.error(), caller.request_id));
      });
    });
  });
}

void pools(const NodeContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  context.strand.post(
      [context, request, responder] { answer_page(request, responder, "pools", pools_of(context.backend.nodes()), &PoolList::pools); });
}

net::ParameterDoc name_parameter() { return net::path_text("name", "Name of the node."); }

RouteDoc change_doc(std::string operation, std::string summary) {
  net::BodyDoc body = net::json_body<NodeChange>("Why.");
  body.required = false;
  return {.operation = std::move(operation),
          .tag = "nodes",
          .summary = std::move(summary),
          .parameters = {name_parameter()},
          .body = std::move(body),
          .answers = {net::json_answer<NodeSummary>(200, "The node as it is now.")}};
}

}  // namespace

void add_node_routes(net::Router& router, NodeContext context) {
  const auto add = [&router](std::string method, std::string pattern, Permission permission, net::Handler handler, RouteDoc doc) {
    router.add({std::move(method), std::move(pattern), permission, std::move(handler), 4096, std::move(doc)});
  };
  add("GET", "/api/v1/nodes", Permission::kViewer,
      [context](const net::Request& request, const net::ResponderPtr& responder) { list(context, request, responder); },
      {.operation = "listNodes",
       .tag = "nodes",
       .summary = "Lists the nodes.",
       .parameters = {limit_parameter(), cursor_parameter()},
       .answers = {net::json_answer<NodeList>(200, "A page of them.")}});
  add("GET", "/api/v1/nodes/{name}", Permission::kViewer,
      [context](const net::Request& request, const net::ResponderPtr& responder) { get(context, request, responder); },
      {.operation = "getNode",
       .tag = "nodes",
       .summary = "One node.",
       .parameters = {name_parameter()},
       .answers = {net::json_answer<NodeSummary>(200, "The node.")}});
  add("DELETE", "/api/v1/nodes/{name}", Permission::kOperator,
      [context](const net::Request& request, const net::ResponderPtr& responder) { remove(context, request, responder); },
      {.operation = "removeNode",
       .tag = "nodes",
       .summary = "Takes a node that is gone off the list, and ends the credential of its agent.",
       .parameters = {name_parameter()},
       .answers = {net::json_answer<NodeSummary>(200, "The node as it was.")},
       .problems = {409}});
  const auto change_to = [context](NodeState state) {
    return
        [context, state](const net::Request& request, const net::ResponderPtr& responder) { change(context, request, responder, state); };
  };
  add("POST", "/api/v1/nodes/{name}/cordon", Permission::kOperator, change_to(NodeState::kCordoned),
      change_doc("cordonNode", "Starts nothing new on a node; what runs there goes on."));
  add("POST", "/api/v1/nodes/{name}/drain", Permission::kOperator, change_to(NodeState::kDraining),
      change_doc("drainNode", "Starts nothing new on a node and sends what runs there elsewhere, from its last checkpoint."));
  add("POST", "/api/v1/nodes/{name}/uncordon", Permission::kOperator, change_to(NodeState::kReady),
      change_doc("uncordonNode", "Uses a node again."));
  add("GET", "/api/v1/pools", Permission::kViewer,
      [context](const net::Request& request, const net::ResponderPtr& responder) { pools(context, request, responder); },
      {.operation = "listPools",
       .tag = "nodes",
       .summary = "Lists the pools.",
       .parameters = {limit_parameter(), cursor_parameter()},
       .answers = {net::json_answer<PoolList>(200, "A page of them.")}});
}

}  // namespace trainyard::api
