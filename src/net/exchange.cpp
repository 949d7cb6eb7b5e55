#include "net/internal/exchange.h"

namespace trainyard::net::internal {

bool OutgoingStream::write(std::string bytes) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || overflowed_ || ended_) return false;
    if (waiting_.size() + being_sent_ > kWaitingMax) {
      overflowed_ = true;
    } else {
      waiting_ += bytes;
    }
    if (!std::exchange(connection_sleeps_, false)) return !overflowed_;
    if (overflowed_) return false;
  }
  waker_->wake();
  return true;
}

bool OutgoingStream::has_room(std::function<void()> on_room) {
  const std::lock_guard lock(mutex_);
  if (ended_ || waiting_.size() + being_sent_ <= kRoom) return true;
  on_room_ = std::move(on_room);
  return false;
}

void OutgoingStream::cut() {
  {
    const std::lock_guard lock(mutex_);
    overflowed_ = true;
    if (!std::exchange(connection_sleeps_, false)) return;
  }
  waker_->wake();
}

void OutgoingStream::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    if (!std::exchange(connection_sleeps_, false)) return;
  }
  waker_->wake();
}

bool OutgoingStream::open() const {
  const std::lock_guard lock(mutex_);
  return !closed_ && !overflowed_ && !ended_;
}

void OutgoingStream::on_closed(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      callbacks_.push_back(std::move(callback));
      return;
    }
  }
  callback();
}

OutgoingStream::Take OutgoingStream::take(std::string& bytes) {
  std::function<void()> on_room;
  const Take taken = take_locked(bytes, on_room);
  if (on_room) on_room();
  return taken;
}

OutgoingStream::Take OutgoingStream::take_locked(std::string& bytes, std::function<void()>& on_room) {
  const std::lock_guard lock(mutex_);
  being_sent_ = waiting_.size();
  if (being_sent_ <= kRoom) on_room = std::exchange(on_room_, nullptr);
  if (!waiting_.empty()) {
    bytes = std::exchange(waiting_, {});
    return Take::kBytes;
  }
  if (overflowed_) return Take::kCut;
  if (closed_) return Take::kEnd;
  connection_sleeps_ = true;
  return Take::kNothing;
}

void OutgoingStream::end() {
  std::vector<std::function<void()>> callbacks;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    waiting_.clear();
    callbacks = std::exchange(callbacks_, {});
    if (on_room_) callbacks.push_back(std::exchange(on_room_, nullptr));
  }
  for (const std::function<void()>& callback : callbacks) callback();
}

bool Exchange::settle(Answer& answer) {
  {
    const std::lock_guard lock(mutex_);
    if (answered_) return false;
    answered_ = true;
    answer_ = std::move(answer);
    if (!connection_waits_) return true;
  }
  waker_->wake();
  return true;
}

void Exchange::respond(Response response) {
  Answer answer{std::move(response), nullptr};
  settle(answer);
}

OutgoingStreamPtr Exchange::stream(Response head) {
  const auto stream = std::make_shared<OutgoingStream>(waker_);
  Answer answer{std::move(head), stream};
  if (!settle(answer)) stream->end();
  return stream;
}

void Exchange::drop() {
  {
    const std::lock_guard lock(mutex_);
    if (answered_) return;
  }
  respond(problem_response(internal_error("http.no_answer", "The request was dropped without an answer; this is a fault of the server."),
                           request_id_));
}

std::optional<Exchange::Answer> Exchange::take() {
  const std::lock_guard lock(mutex_);
  if (!answer_) connection_waits_ = true;
  return std::exchange(answer_, std::nullopt);
}

void Exchange::abandon() {
  std::optional<Answer> late;
  {
    const std::lock_guard lock(mutex_);
    answered_ = true;
    late = std::exchange(answer_, std::nullopt);
  }
  if (late && late->stream) late->stream->end();
}

}  // namespace trainyard::net::internal
