#include "api/platform/trials.h"

#include <algorithm>

#include "api/platform/job_context.h"

namespace trainyard::api {
namespace {

constexpr std::int64_t kWaitMaxSeconds = 50;  // Below the request deadline of the server.

net::Response decision_response(std::string_view decision) {
  Document body = Document::object();
  body.set("decision", decision);
  return net::json_response(200, body);
}

}  // namespace

void add_trial_routes(net::Router& router, Executor& strand, Clock& clock, tune::StudyBoard& board) {
  const auto serve = [&strand, &clock, &board](const net::Request& request, const net::ResponderPtr& responder) {
    const Result<JobId> job = parse_job_id(request.path_parameters.at("job"));
    const Result<std::int64_t> step = Document(request.path_parameters.at("step")).as_int();
    const Result<std::int64_t> wait = Document(request.query_value("wait").value_or("0")).as_int();
    if (!job.ok() || !step.ok() || !wait.ok()) {
      return responder->respond(
          net::problem_response(invalid_argument("query.number", "job, step and wait must be integers"), request.request_id));
    }
    const Duration span = std::chrono::seconds(std::clamp<std::int64_t>(*wait, 0, kWaitMaxSeconds));
    strand.post([&strand, &clock, &board, id = *job, step = *step, span, responder] {
      auto answered = std::make_shared<bool>(false);  // shared: between the answer and the timer
      const tune::StudyBoard::QuestionId question = board.ask(id, step, [responder, answered](std::optional<tune::RungDecision> decision) {
        if (std::exchange(*answered, true)) return;
        responder->respond(decision_response(!decision ? "pending" : *decision == tune::RungDecision::kStop ? "stop" : "continue"));
      });
      strand.post_at(clock.monotonic_now() + span, [&board, question, answered] {
        if (!*answered) board.give_up(question);
      });
    });
  };
  router.add({"GET", "/api/v1/trials/{job}/rungs/{step}", net::Permission::kRunner, serve, std::size_t{1} << 16});
}

}  // namespace trainyard::api
