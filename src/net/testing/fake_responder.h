#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/router.h"
#include "net/target.h"

namespace trainyard::net::testing {

/// Collects what a handler writes to a stream. Thread-safe.
class FakeStream final : public ResponseStream {
 public:
  bool write(std::string bytes) override {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || gone_ || refusing_) return false;
      body_ += bytes;
      full_ = full_ || body_.size() >= fill_after_;
    }
    changed_.notify_all();
    return true;
  }
  bool has_room(std::function<void()> on_room) override {
    const std::lock_guard lock(mutex_);
    if (gone_ || !full_) return true;
    on_room_ = std::move(on_room);
    return false;
  }
  void close() override {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }
  void cut() override {
    {
      const std::lock_guard lock(mutex_);
      cut_ = true;
    }
    close();
  }
  bool open() const override {
    const std::lock_guard lock(mutex_);
    return !closed_ && !gone_;
  }
  void on_closed(std::function<void()> callback) override {
    {
      const std::lock_guard lock(mutex_);
      if (!gone_) {
        callbacks_.push_back(std::move(callback));
        return;
      }
    }
    callback();
  }

  /// The client goes away.
  void hang_up() {
    std::vector<std::function<void()>> callbacks;
    {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      callbacks = std::exchange(callbacks_, {});
    }
    changed_.notify_all();
    for (const auto& callback : callbacks) callback();
  }
  /// From now on the client does not read: writes are refused.
  void stall() {
    const std::lock_guard lock(mutex_);
    refusing_ = true;
  }
  /// Whether the client reads so slowly that there is no room at the moment.
  void set_full(bool full) {
    std::function<void()> on_room;
    {
      const std::lock_guard lock(mutex_);
      full_ = full;
      if (!full) on_room = std::exchange(on_room_, nullptr);
    }
    if (on_room) on_room();
  }
  /// The client stops reading once the body is so long.
  void fill_after(std::size_t size) {
    const std::lock_guard lock(mutex_);
    fill_after_ = size;
  }
  bool was_cut() const {
    const std::lock_guard lock(mutex_);
    return cut_;
  }
  std::string body() const {
    const std::lock_guard lock(mutex_);
    return body_;
  }
  /// Waits until the body contains `text`, or the stream is closed, or time is up. True if it contains it.
  bool wait_for(std::string_view text, std::chrono::milliseconds timeout = std::chrono::seconds(5)) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return closed_ || body_.find(text) != std::string::npos; });
    return body_.find(text) != std::string::npos;
  }
  /// Waits for bytes beyond `offset` and returns them; empty at the end or when time is up.
  std::string read_from(std::size_t offset, std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return closed_ || gone_ || body_.size() > offset; });
    return body_.substr(std::min(offset, body_.size()));
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string body_;  // guarded by mutex_, and so is all that follows
  bool closed_ = false;
  bool gone_ = false;
  bool refusing_ = false;
  bool full_ = false;
  std::size_t fill_after_ = std::numeric_limits<std::size_t>::max();
  bool cut_ = false;
  std::function<void()> on_room_;
  std::vector<std::function<void()>> callbacks_;
};

using FakeStreamPtr = std::shared_ptr<FakeStream>;  // shared: as ResponseStream

/// What a responder received; outlives the responder.
class FakeAnswer {
 public:
  /// The answer once it is there; a 500 when the responder was dropped, and none when time is up.
  std::optional<Response> wait(std::chrono::milliseconds timeout = std::chrono::seconds(5)) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return response_.has_value(); });
    return response_;
  }
  bool answered() const {
    const std::lock_guard lock(mutex_);
    return response_.has_value();
  }
  /// Null for a buffered answer.
  FakeStreamPtr stream() const {
    const std::lock_guard lock(mutex_);
    return stream_;
  }
  /// False when there was an answer already.
  bool set(Response response, FakeStreamPtr stream) {
    {
      const std::lock_guard lock(mutex_);
      if (response_) return false;
      response_ = std::move(response);
      stream_ = std::move(stream);
    }
    changed_.notify_all();
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Response> response_;  // guarded by mutex_
  FakeStreamPtr stream_;              // guarded by mutex_
};

using FakeAnswerPtr = std::shared_ptr<FakeAnswer>;  // shared: the test reads what the handler wrote

/// Behaves like the server's responder: the first answer counts, none is a 500.
class FakeResponder final : public Responder {
 public:
  explicit FakeResponder(FakeAnswerPtr answer) : answer_(std::move(answer)) {}
  FakeResponder(const FakeResponder&) = delete;
  FakeResponder& operator=(const FakeResponder&) = delete;
  ~FakeResponder() override { answer_->set(problem_response(internal_error("http.no_answer", "dropped without an answer")), nullptr); }

  void respond(Response response) override { answer_->set(std::move(response), nullptr); }
  std::shared_ptr<ResponseStream> stream(Response head) override {  // shared: as Responder says
    auto stream = std::make_shared<FakeStream>();
    if (!answer_->set(std::move(head), stream)) stream->hang_up();
    return stream;
  }

 private:
  FakeAnswerPtr answer_;
};

/// A request as the server would build it from "GET /path?query".
inline Request make_request(std::string method, std::string_view target, std::string body = {}, std::string_view token = {}) {
  const Result<Target> parsed = parse_target(target);
  CHECK(parsed.ok(), "a test gave a target that the server would refuse");
  Request request;
  request.method = std::move(method);
  request.path = parsed->path;
  request.query = parsed->query;
  request.body = std::move(body);
  request.request_id = "test-request";
  request.headers.add("Host", "localhost");
  if (!token.empty()) request.headers.add("Authorization", "Bearer " + std::string(token));
  return request;
}

/// Hands a request to the router; the answer may come later and on another thread.
inline FakeAnswerPtr start_call(const Router& router, Request request) {
  auto answer = std::make_shared<FakeAnswer>();
  router.handle(std::move(request), std::make_shared<FakeResponder>(answer));
  return answer;
}

/// Hands a request to the router and waits for the answer, at most five seconds. For a stream: its head.
inline Response call(const Router& router, Request request) {
  const std::optional<Response> response = start_call(router, std::move(request))->wait();
  CHECK(response.has_value(), "the handler did not answer within five seconds");
  return *response;
}

/// Takes every request for the same principal.
class FakeAuthorizer final : public Authorizer {
 public:
  explicit FakeAuthorizer(Principal principal = {"admin", "admin"}) : principal_(std::move(principal)) {}
  Result<Principal> authenticate(const Request&) override { return principal_; }

 private:
  Principal principal_;
};

}  // namespace trainyard::net::testing
