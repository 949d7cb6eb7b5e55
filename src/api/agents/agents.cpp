#include "api/agents/agents.h"

#include <fmt/format.h>

#include <limits>

#include "access/identity.h"
#include "base/check.h"

namespace trainyard::api {
namespace {

constexpr std::size_t kBodyMax = std::size_t{8} << 20;
constexpr double kWaitMaxMicros = 3'600'000'000;

bool is_admin(const net::Principal& principal) { return net::may_everywhere(principal, net::Permission::kAdmin); }

/// An agent speaks for its own node.
Result<void> check_node(const net::Principal& principal, const NodeName& node) {
  const std::optional<NodeName> own = access::node_of(principal);
  if (is_admin(principal) || (own && *own == node)) return {};
  return Error{Category::kPermissionDenied,
               "agent.other_node",
               fmt::format("an agent speaks for its own node only: {} spoke for {}", principal.name, node.text),
               {},
               {}};
}

/// The output of a rank comes from the node that it is leased to.
Result<void> check_rank(const AgentContext& context, const net::Principal& principal, const RankKey& rank) {
  const std::optional<NodeName> own = access::node_of(principal);
  if (is_admin(principal) || (own && context.holds(*own, rank))) return {};
  return Error{Category::kAborted,
               "lease.fenced",
               fmt::format("this rank is not leased to the node of this agent: job {} attempt {} rank {}, caller {}",
                           rank.attempt.job.text(), rank.attempt.attempt.text(), rank.rank, principal.name),
               {},
               {}};
}

Result<std::uint64_t> number(const std::string& text, std::string_view what) {
  const Result<std::uint64_t> value = Document(text).as_unsigned();
  if (!value.ok()) return invalid_argument("query.number", fmt::format("{} must be a non-negative integer: {}", what, text));
  return value;
}

/// The same for what is kept in fewer bits: a number that does not fit must not pass for another.
Result<std::uint64_t> number_up_to(std::uint64_t max, const std::string& text, std::string_view what) {
  ASSIGN_OR_RETURN(const std::uint64_t value, number(text, what));
  if (value > max) return invalid_argument("query.number", fmt::format("{} must be at most {}: {}", what, max, text));
  return value;
}

Result<RankKey> rank_of(const net::Request& request) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint32_t>::max();
  RankKey rank;
  ASSIGN_OR_RETURN(rank.attempt.job.value, number(request.path_parameters.at("job"), "job"));
  ASSIGN_OR_RETURN(const std::uint64_t attempt, number_up_to(kMax, request.path_parameters.at("attempt"), "attempt"));
  ASSIGN_OR_RETURN(const std::uint64_t index, number_up_to(kMax, request.path_parameters.at("rank"), "rank"));
  rank.attempt.attempt.value = static_cast<std::uint32_t>(attempt);
  rank.rank = static_cast<std::uint32_t>(index);
  return rank;
}

void sync(const AgentContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  const NodeName node{request.path_parameters.at("node")};
  const Result<void> own = check_node(request.principal, node);
  // A node that no route can name could be neither drained nor taken away.
  if (const Result<void> named = own.ok() ? access::check_node_name(node.text) : own; !named.ok()) {
    return responder->respond(net::problem_response(named.error(), request.request_id));
  }
  const Result<Document> body = parse_json(request.body);
  Result<exec::NodeObservation> observation = body.ok() ? exec::node_observation_from(*body) : Result<exec::NodeObservation>(body.error());
  if (!observation.ok()) return responder->respond(net::problem_response(observation.error(), request.request_id));
  observation->node = node;
  const auto seen = static_cast<std::uint64_t>(net::query_number(request, "seen", 0));
  context.sync(
      *observation, seen, Duration(net::query_number(request, "wait_us", 0)),
      [responder, id = request.request_id](const Result<exec::DesiredState>& state) {
        responder->respond(state.ok() ? net::json_response(200, exec::to_document(*state)) : net::problem_response(state.error(), id));
      });
}

std::vector<std::string> lines_of(std::string_view body) {
  std::vector<std::string> lines;
  for (std::size_t end = body.find('\n'); end != std::string_view::npos; end = body.find('\n')) {
    lines.emplace_back(body.substr(0, end));
    body.remove_prefix(end + 1);
  }
  return lines;
}

/// One of the four transfers of a rank; blocks.
Result<std::uint64_t> transfer(const AgentContext& context, const net::Request& request) {
  agent::AgentLink& link = context.link;
  ASSIGN_OR_RETURN(const RankKey rank, rank_of(request));
  TRY(check_rank(context, request.principal, rank));
  const std::string& what = request.path_parameters.at("what");
  if (what != "log" && what != "events") return not_found("http.no_route", "a rank has a log and events, no " + what);
  const bool log = what == "log";
  if (request.method == "GET") return log ? link.log_end(rank) : link.events_end(rank);
  ASSIGN_OR_RETURN(const std::uint64_t from, number(request.query_value(log ? "offset" : "first").value_or(""), log ? "offset" : "first"));
  return log ? link.append_log(rank, from, request.body) : link.append_events(rank, from, lines_of(request.body));
}

net::RouteDoc sync_doc() {
  return {.operation = "syncAgent",
          .tag = "agents",
          .summary = "Takes what a node has and answers what it should have, at once or when that changes.",
          .parameters = {net::path_text("node", "Name of the node."),
                         net::query_integer("seen", {.min = 0}, 0, "The version that the node has: an answer comes when there is another."),
                         net::query_integer("wait_us", {.min = 0, .max = kWaitMaxMicros}, 0, "Microseconds to wait for a change.")},
          .body = net::BodyDoc{.schema = &net::write_any_object,
                               .media_types = {"application/json", "application/octet-stream"},
                               .doc = "What the node has."},
          .answers = {{200, "What it should have.", &net::write_any_object, "application/json", {}}},
          .problems = {409},
          .rate = net::RateClass::kReserved};
}

struct TransferEnd {
  static constexpr std::string_view kSchemaName = "TransferEnd";
  std::int64_t end = 0;
  void describe(FieldVisitor& fields) { fields.field("end", end, {.min = 0}, "The offset or number that is expected next."); }
};

net::RouteDoc rank_doc(bool append) {
  net::RouteDoc doc{.operation = append ? "appendRankOutput" : "getRankOutputEnd",
                    .tag = "agents",
                    .summary = append ? "Appends to the log or the events of a rank; an overlap is ignored, a gap is refused."
                                      : "How much of the log or the events of a rank is here.",
                    .parameters = {net::path_text("job", "Number of the job."), net::path_text("attempt", "Number of the attempt."),
                                   net::path_text("rank", "Number of the rank, from 0."), net::path_text("what", "log or events.")},
                    .answers = {net::json_answer<TransferEnd>(200, "What is expected next.")},
                    .problems = {409},
                    .rate = net::RateClass::kReserved};
  if (!append) return doc;
  doc.parameters.push_back(net::query_integer("offset", {.min = 0}, std::nullopt, "For a log: where the bytes begin."));
  doc.parameters.push_back(net::query_integer("first", {.min = 0}, std::nullopt, "For events: the number of the first line."));
  doc.body = net::BodyDoc{.media_types = {"application/octet-stream"}, .doc = "Log records, or lines of events.", .required = false};
  return doc;
}

}  // namespace

void add_agent_routes(net::Router& router, AgentContext context) {
  CHECK(context.holds, "without it the output of every rank would be refused, and agents would let go of it");
  router.add({"POST", "/api/v1/agents/{node}/sync", net::Permission::kAgent,
              [context](const net::Request& request, const net::ResponderPtr& responder) { sync(context, request, responder); }, kBodyMax,
              sync_doc()});
  for (const char* method : {"GET", "POST"}) {
    router.add({method, "/api/v1/agents/ranks/{job}/{attempt}/{rank}/{what}", net::Permission::kAgent,
                [context](net::Request request, const net::ResponderPtr& responder) {
                  context.bulk.post([context, request = std::move(request), responder] {
                    const Result<std::uint64_t> end = transfer(context, request);
                    if (!end.ok()) return responder->respond(net::problem_response(end.error(), request.request_id));
                    Document body = Document::object();
                    body.set("end", *end);
                    responder->respond(net::json_response(200, body));
                  });
                },
                kBodyMax, rank_doc(method == std::string_view("POST"))});
  }
}

}  // namespace trainyard::api
