#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "net/router.h"

namespace trainyard::net::internal {

/// Stands between handlers and the answers they give: knows the open streams by who reads them, and asks once more whether the reader may
/// see what comes late. Thread-safe; outlives the router, after whose end it lets everything pass.
class AnswerGate {
 public:
  explicit AnswerGate(const Authorizer& authorizer) : authorizer_(&authorizer) {}

  /// The router is gone, and with it, soon, the authorizer.
  void close();
  bool is_current(const Principal& principal) const;

  using StreamPtr = std::shared_ptr<ResponseStream>;  // shared: as Responder says
  /// Returns the number to `remove` it by.
  std::uint64_t add(const Principal& principal, const StreamPtr& stream);
  void remove(std::uint64_t number);
  void end_streams(const std::function<bool(const Principal&)>& ends);
  std::size_t open_streams() const;

 private:
  struct Open {
    Principal principal;
    std::weak_ptr<ResponseStream> stream;
  };

  mutable std::shared_mutex authorizer_mutex_;
  const Authorizer* authorizer_;  // guarded by authorizer_mutex_
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Open> streams_;  // guarded by mutex_
  std::uint64_t last_ = 0;                 // guarded by mutex_
};

using AnswerGatePtr = std::shared_ptr<AnswerGate>;  // shared: between the router and late answers

/// What a handler holds: gives back the request's place when the answer begins, and withholds what was read from a caller whose credential
/// was revoked meanwhile. What was changed is told to whoever changed it: a join token is used up by its own request.
class GatedResponder final : public Responder {
 public:
  GatedResponder(ResponderPtr inner, AnswerGatePtr gate, const Request& request, std::optional<RequestLimiter::Place> place)
      : inner_(std::move(inner)),
        gate_(std::move(gate)),
        principal_(request.principal),
        request_id_(request.request_id),
        reads_(request.method == "GET" || request.method == "HEAD"),
        place_(std::move(place)) {}

  void respond(Response response) override;
  std::shared_ptr<ResponseStream> stream(Response head) override;  // shared: as Responder says

 private:
  const ResponderPtr inner_;
  const AnswerGatePtr gate_;
  const Principal principal_;
  const std::string request_id_;
  const bool reads_;
  std::optional<RequestLimiter::Place> place_;
};

}  // namespace trainyard::net::internal
