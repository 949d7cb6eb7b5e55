#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/http.h"

namespace trainyard::net::internal {

/// Tells a connection to look at its exchange again. May be called from any thread, also after the connection and the server are gone.
class Waker {
 public:
  virtual ~Waker() = default;
  virtual void wake() = 0;
};

using WakerPtr = std::shared_ptr<Waker>;  // shared: handlers may outlive the connection

/// The body of a streaming answer, between a producer on any thread and the connection that sends it.
class OutgoingStream final : public ResponseStream {
 public:
  static constexpr std::size_t kWaitingMax = std::size_t{1} << 20;
  static constexpr std::size_t kRoom = kWaitingMax / 4;

  explicit OutgoingStream(WakerPtr waker) : waker_(std::move(waker)) {}

  /// Refuses, and from then on always, once more than 1 MiB waits: what waits is still sent, then the connection is cut, so that the
  /// client can see that something is missing.
  bool write(std::string bytes) override;
  bool has_room(std::function<void()> on_room) override;
  void close() override;
  void cut() override;
  bool open() const override;
  void on_closed(std::function<void()> callback) override;

  enum class Take { kBytes, kNothing, kEnd, kCut };
  /// For the connection: moves all that waits into `bytes`. What an earlier call moved counts as sent. After kNothing the next write or
  /// close wakes the connection.
  Take take(std::string& bytes);
  /// For the connection: nothing more will be sent. Runs the callbacks of on_closed, once.
  void end();

 private:
  Take take_locked(std::string& bytes, std::function<void()>& on_room);

  WakerPtr waker_;
  mutable std::mutex mutex_;
  std::string waiting_;  // guarded by mutex_, and so is all that follows
  std::size_t being_sent_ = 0;
  bool connection_sleeps_ = false;
  bool closed_ = false;
  bool overflowed_ = false;
  bool ended_ = false;
  std::vector<std::function<void()>> callbacks_;
  std::function<void()> on_room_;
};

using OutgoingStreamPtr = std::shared_ptr<OutgoingStream>;  // shared: producer and connection both end it

/// One request's way to its answer: filled once by a handler on any thread, taken once by the connection.
class Exchange {
 public:
  Exchange(WakerPtr waker, std::string request_id) : waker_(std::move(waker)), request_id_(std::move(request_id)) {}

  struct Answer {
    Response response;
    OutgoingStreamPtr stream;  ///< Null for a buffered answer.
  };

  // Handler side.
  void respond(Response response);
  OutgoingStreamPtr stream(Response head);
  /// The last responder went away: answers 500 if nobody did.
  void drop();

  // Connection side.
  /// The answer if it is there; else the connection is woken when it comes.
  std::optional<Answer> take();
  /// No answer is wanted any more: whatever comes is dropped, and streams are closed from the start.
  void abandon();

 private:
  bool settle(Answer& answer);

  const WakerPtr waker_;
  const std::string request_id_;
  std::mutex mutex_;
  bool answered_ = false;          // guarded by mutex_
  bool connection_waits_ = false;  // guarded by mutex_
  std::optional<Answer> answer_;   // guarded by mutex_
};

using ExchangePtr = std::shared_ptr<Exchange>;  // shared: handler and connection each have an end

/// What handlers hold.
class ExchangeResponder final : public Responder {
 public:
  explicit ExchangeResponder(ExchangePtr exchange) : exchange_(std::move(exchange)) {}
  ExchangeResponder(const ExchangeResponder&) = delete;
  ExchangeResponder& operator=(const ExchangeResponder&) = delete;
  ~ExchangeResponder() override { exchange_->drop(); }

  void respond(Response response) override { exchange_->respond(std::move(response)); }
  std::shared_ptr<ResponseStream> stream(Response head) override {  // shared: as Responder says
    return exchange_->stream(std::move(head));
  }

 private:
  ExchangePtr exchange_;
};

}  // namespace trainyard::net::internal
