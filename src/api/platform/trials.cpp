#include "api/platform/trials.h"

#include <algorithm>

#include "api/platform/job_context.h"
#include "api/platform/workflow_views.h"

namespace trainyard::api {
namespace {

constexpr std::int64_t kWaitMaxSeconds = 50;  // Below the request deadline of the server.

net::Response decision_response(std::string decision) { return net::json_response(200, encode(TrialDecision{std::move(decision)})); }

net::RouteDoc rung_doc() {
  return {.operation = "getTrialDecision",
          .tag = "trials",
          .summary = "Whether a trial goes on behind a rung.",
          .parameters = {net::path_text("job", "Number of the trial's job."), net::path_text("step", "The step of the rung."),
                         net::query_integer("wait", {.min = 0, .max = 3'600}, 0, "Seconds to wait for the decision.")},
          .answers = {net::json_answer<TrialDecision>(200, "The decision, as far as there is one.")}};
}

}  // namespace

void add_trial_routes(net::Router& router, Executor& strand, Clock& clock, tune::StudyBoard& board) {
  const auto serve = [&strand, &clock, &board](const net::Request& request, const net::ResponderPtr& responder) {
    const Result<JobId> job = parse_job_id(request.path_parameters.at("job"));
    const Result<std::int64_t> step = Document(request.path_parameters.at("step")).as_int();
    if (!job.ok() || !step.ok()) {
      return responder->respond(
          net::problem_response(invalid_argument("query.number", "job and step must be whole numbers"), request.request_id));
    }
    const Duration span = std::chrono::seconds(std::min(net::query_number(request, "wait", 0), kWaitMaxSeconds));
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
  router.add({"GET", "/api/v1/trials/{job}/rungs/{step}", net::Permission::kRunner, serve, std::size_t{1} << 16, rung_doc()});
}

}  // namespace trainyard::api
