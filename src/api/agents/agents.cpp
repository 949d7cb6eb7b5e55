#include "api/agents/agents.h"

#include <fmt/format.h>

#include <limits>

namespace trainyard::api {
namespace {

constexpr std::size_t kBodyMax = std::size_t{8} << 20;
constexpr std::uint64_t kWaitMaxMicros = 3'600'000'000;

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
  const Result<Document> body = parse_json(request.body);
  Result<exec::NodeObservation> observation = body.ok() ? exec::node_observation_from(*body) : Result<exec::NodeObservation>(body.error());
  const Result<std::uint64_t> seen = number(request.query_value("seen").value_or("0"), "seen");
  const Result<std::uint64_t> wait = number_up_to(kWaitMaxMicros, request.query_value("wait_us").value_or("0"), "wait_us");
  for (const Error* error :
       {observation.ok() ? nullptr : &observation.error(), seen.ok() ? nullptr : &seen.error(), wait.ok() ? nullptr : &wait.error()}) {
    if (error != nullptr) return responder->respond(net::problem_response(*error, request.request_id));
  }
  observation->node.text = request.path_parameters.at("node");
  context.sync(
      *observation, *seen, Duration(static_cast<std::int64_t>(*wait)),
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
Result<std::uint64_t> transfer(agent::AgentLink& link, const net::Request& request) {
  ASSIGN_OR_RETURN(const RankKey rank, rank_of(request));
  const std::string& what = request.path_parameters.at("what");
  if (what != "log" && what != "events") return not_found("http.no_route", "a rank has a log and events, no " + what);
  const bool log = what == "log";
  if (request.method == "GET") return log ? link.log_end(rank) : link.events_end(rank);
  ASSIGN_OR_RETURN(const std::uint64_t from, number(request.query_value(log ? "offset" : "first").value_or(""), log ? "offset" : "first"));
  return log ? link.append_log(rank, from, request.body) : link.append_events(rank, from, lines_of(request.body));
}

}  // namespace

void add_agent_routes(net::Router& router, AgentContext context) {
  router.add({"POST", "/api/v1/agents/{node}/sync", net::Permission::kOperator,
              [context](const net::Request& request, const net::ResponderPtr& responder) { sync(context, request, responder); }, kBodyMax});
  for (const char* method : {"GET", "POST"}) {
    router.add({method, "/api/v1/agents/ranks/{job}/{attempt}/{rank}/{what}", net::Permission::kOperator,
                [context](net::Request request, const net::ResponderPtr& responder) {
                  context.bulk.post([context, request = std::move(request), responder] {
                    const Result<std::uint64_t> end = transfer(context.link, request);
                    if (!end.ok()) return responder->respond(net::problem_response(end.error(), request.request_id));
                    Document body = Document::object();
                    body.set("end", *end);
                    responder->respond(net::json_response(200, body));
                  });
                },
                kBodyMax});
  }
}

}  // namespace trainyard::api
