#pragma once
#include <atomic>
#include <string>

#include "base/executor.h"
#include "base/time.h"
#include "net/rate_limit.h"
#include "net/router.h"

namespace trainyard::access {

class UserRepository;

/// Who did what to what, and whether it was allowed. Holds no secrets.
struct AuditRecord {
  std::int64_t number = 0;  ///< Grows by one with each record; given when it is stored.
  TimePoint time;
  std::string who;       ///< Name of a principal; empty for nobody known.
  std::string action;    ///< "token.issue", or "POST" of a refused request.
  std::string object;    ///< "user/ann", or the path of a refused request.
  std::string decision;  ///< "allowed" or the id of the error that refused it.
  std::string source;    ///< The address of the client.
  std::string request_id;
};

/// Takes records of what is not part of a transaction, e.g. refusals. May be called from any thread and does not block; a record may be
/// lost when there are too many, and is then counted.
class AuditSink {
 public:
  virtual ~AuditSink() = default;
  virtual void record(AuditRecord record) = 0;
};

/// Writes records behind the caller's back, on the executor that may block. At most 1,024 wait.
class AuditTrail final : public AuditSink {
 public:
  AuditTrail(Executor& writes, UserRepository& repository) : writes_(writes), repository_(repository) {}
  void record(AuditRecord record) override;
  std::uint64_t lost() const { return lost_; }

 private:
  Executor& writes_;
  UserRepository& repository_;
  std::atomic<std::int64_t> waiting_{0};
  std::atomic<std::uint64_t> lost_{0};
};

/// Records the refused requests that would have changed something: at most ten a second for each caller or address in the long run, so that
/// nobody can fill the disk with them. For Router::observe_denials.
class DenialAudit {
 public:
  DenialAudit(AuditSink& sink, const Clock& clock) : sink_(sink), clock_(clock), limiter_({.write = {10, 100}}, clock) {}
  void operator()(const net::Request& request, const net::Principal& principal, const Error& error);

 private:
  AuditSink& sink_;
  const Clock& clock_;
  net::RequestLimiter limiter_;
};

}  // namespace trainyard::access
