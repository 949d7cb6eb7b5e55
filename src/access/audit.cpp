#include "access/audit.h"

#include "access/user_repository.h"

namespace trainyard::access {
namespace {

constexpr std::int64_t kWaitingMax = 1'024;

}  // namespace

void AuditTrail::record(AuditRecord record) {
  if (++waiting_ > kWaitingMax) {
    --waiting_;
    ++lost_;
    return;
  }
  writes_.post([this, record = std::move(record)] {
    --waiting_;
    if (!repository_.append_audit(record).ok()) ++lost_;
  });
}

void DenialAudit::operator()(const net::Request& request, const net::Principal& principal, const Error& error) {
  if (request.method == "GET" || request.method == "HEAD") return;
  const std::string caller = principal.name.empty() ? "from " + request.peer : principal.name;
  if (limiter_.take(caller, net::RateClass::kWrite)) return;
  sink_.record({.time = clock_.now(),
                .who = principal.name,
                .action = request.method,
                .object = request.path,
                .decision = error.id,
                .source = request.peer,
                .request_id = request.request_id});
}

}  // namespace trainyard::access
