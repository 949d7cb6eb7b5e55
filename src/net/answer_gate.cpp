#include "net/internal/answer_gate.h"

#include <vector>

namespace trainyard::net::internal {

void AnswerGate::close() {
  const std::unique_lock lock(authorizer_mutex_);
  authorizer_ = nullptr;
}

bool AnswerGate::is_current(const Principal& principal) const {
  if (principal.credential.empty()) return true;
  const std::shared_lock lock(authorizer_mutex_);
  return authorizer_ == nullptr || authorizer_->is_current(principal);
}

std::uint64_t AnswerGate::add(const Principal& principal, const StreamPtr& stream) {
  const std::lock_guard lock(mutex_);
  streams_.emplace(++last_, Open{principal, stream});
  return last_;
}

void AnswerGate::remove(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  streams_.erase(number);
}

void AnswerGate::end_streams(const std::function<bool(const Principal&)>& ends) {
  std::vector<StreamPtr> ending;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, open] : streams_) {
      if (!ends(open.principal)) continue;
      if (StreamPtr stream = open.stream.lock()) ending.push_back(std::move(stream));
    }
  }
  for (const StreamPtr& stream : ending) stream->close();
}

std::size_t AnswerGate::open_streams() const {
  const std::lock_guard lock(mutex_);
  return streams_.size();
}

void GatedResponder::respond(Response response) {
  place_.reset();
  if (!reads_ || gate_->is_current(principal_)) return inner_->respond(std::move(response));
  inner_->respond(problem_response(
      {Category::kUnauthenticated, "auth.invalid", "the access token was revoked while this request was being answered", {}, {}},
      request_id_));
}

std::shared_ptr<ResponseStream> GatedResponder::stream(Response head) {  // shared: as Responder says
  place_.reset();
  AnswerGate::StreamPtr stream = inner_->stream(std::move(head));
  const std::uint64_t number = gate_->add(principal_, stream);
  stream->on_closed([gate = gate_, number] { gate->remove(number); });
  // Asked after it was added, so that a revocation at this moment is seen here or by `end_streams`.
  if (!gate_->is_current(principal_)) stream->close();
  return stream;
}

}  // namespace trainyard::net::internal
