#pragma once
#include <functional>
#include <string>

#include "net/http_client.h"
#include "net/testing/fake_responder.h"

namespace trainyard::net::testing {

/// An HttpClient that calls a Router directly: client and handlers are tested together without sockets. Can be told to fail.
class RouterClient final : public HttpClient {
 public:
  explicit RouterClient(const Router& router) : router_(router) {}

  /// The next `count` calls fail as if nobody listened.
  void fail_connect(int count) { failures_ = count; }
  int calls() const { return calls_; }

  Result<Response> send(const ClientRequest& request) override {
    ASSIGN_OR_RETURN(const FakeAnswerPtr answer, start(request));
    const std::optional<Response> response = answer->wait(request.timeout);
    if (!response) return late();
    if (answer->stream()) return whole_stream(request, *response, *answer->stream());
    return *response;
  }

  Result<Response> stream(const ClientRequest& request, const std::function<bool(std::string_view)>& on_bytes) override {
    ASSIGN_OR_RETURN(const FakeAnswerPtr answer, start(request));
    const std::optional<Response> response = answer->wait(request.timeout);
    if (!response) return late();
    const FakeStreamPtr body = answer->stream();
    if (!body) {
      if (response->status != 200) return *response;
      on_bytes(response->body);
      return Response{200, response->headers, {}};
    }
    std::size_t seen = 0;
    while (true) {
      const std::string bytes = body->read_from(seen, request.timeout);
      if (bytes.empty() && body->open()) return late();
      if (bytes.empty()) return Response{response->status, response->headers, {}};
      seen += bytes.size();
      if (!on_bytes(bytes)) {
        body->hang_up();
        return Response{response->status, response->headers, {}};
      }
    }
  }

 private:
  Result<FakeAnswerPtr> start(const ClientRequest& request) {
    ++calls_;
    if (failures_ > 0) {
      --failures_;
      return unavailable("net.connect", "Cannot connect; told to by the test.");
    }
    Request made = make_request(request.method, request.target, request.body);
    for (const auto& [name, value] : request.headers.fields()) made.headers.add(name, value);
    return start_call(router_, std::move(made));
  }

  static Error late() { return {Category::kDeadlineExceeded, "net.timeout", "The server did not answer in time.", {}, {}}; }

  static Result<Response> whole_stream(const ClientRequest& request, Response head, FakeStream& body) {
    std::string bytes;
    while (true) {
      const std::string piece = body.read_from(bytes.size(), request.timeout);
      if (piece.empty() && body.open()) return late();
      if (piece.empty()) break;
      bytes += piece;
    }
    head.body = std::move(bytes);
    return head;
  }

  const Router& router_;
  int failures_ = 0;
  int calls_ = 0;
};

}  // namespace trainyard::net::testing
