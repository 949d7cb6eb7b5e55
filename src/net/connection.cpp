#include "net/internal/connection.h"

#include <fmt/format.h>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>

#include "base/time.h"
#include "net/internal/exchange.h"
#include "net/internal/response_head.h"
#include "net/internal/wire.h"

namespace trainyard::net::internal {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;
using SteadyPoint = SteadyClock::time_point;
using Timer = asio::basic_waitable_timer<SteadyClock, asio::wait_traits<SteadyClock>, Wire::Strand>;

constexpr auto kNever = SteadyPoint::max();
constexpr std::chrono::seconds kLinger{2};  ///< How long a closing connection waits for the client to read the last answer.

/// Large bodies get a second more for each MiB.
std::chrono::seconds transfer_allowance(std::size_t bytes) { return std::chrono::seconds(bytes >> 20); }

std::string date_now() {
  static thread_local std::pair<std::int64_t, std::string> cached{-1, {}};
  const std::int64_t second = micros(SystemClock().now()) / 1'000'000;
  if (cached.first != second) cached = {second, http_date(second)};
  return cached.second;
}

/// One client. Everything runs on the strand; at most one write and one wait for input are pending.
///
///   reading --request--> handling --answer--> writing --keep-alive--> reading
///      |                    |                    +------close-------> lingering --> closed
///      |                    +--stream--> streaming --end--> writing
///      +--refused or late--> writing (close)
class ClientConnection final : public Connection, public std::enable_shared_from_this<ClientConnection> {
 public:
  ClientConnection(ServerCore& core, Wire::Socket socket, std::unique_ptr<TlsSession> tls, std::uint64_t number)
      : core_(core),
        wire_(std::move(socket), std::move(tls)),
        timer_(wire_.executor()),
        number_(number),
        peer_(wire_.peer()),
        reader_(core.rules, core.router, core.ids) {}
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;
  ~ClientConnection() override {
    if (exchange_) exchange_->abandon();
    if (stream_) stream_->end();
  }

  void start() override { post(&ClientConnection::do_start); }
  void start_reserved() override { post(&ClientConnection::do_start_reserved); }
  void begin_stop() override { post(&ClientConnection::do_begin_stop); }
  void close() override { post(&ClientConnection::do_close); }
  void wake() { post(&ClientConnection::look_again); }

 private:
  using Step = void (ClientConnection::*)();

  void post(Step step) {
    asio::post(wire_.executor(), [self = shared_from_this(), step] { (*self.*step)(); });
  }

  void do_start();
  void do_start_reserved();
  void do_begin_stop();
  void do_close();
  void look_again();
  enum class Phase { kReading, kHandling, kWriting, kStreaming, kLingering, kClosed };

  void read();
  void on_readable();
  void take_input(std::string plain);
  void on_end_of_input();
  void process();
  void set_read_deadline();
  void send_continue();
  void continue_sent();
  void dispatch();
  void send(Response response, bool close);
  void send_problem(int status, Category category, std::string id, std::string message, bool close);
  void sent();
  void linger();
  void start_stream(Exchange::Answer answer);
  void stream_sent();
  void flush();
  void send_chunk(std::string bytes);
  void end_stream();
  void write_out(Step next);
  void set_deadline(SteadyPoint deadline);
  void arm_timer();
  void on_deadline();

  ServerCore& core_;
  Wire wire_;
  Timer timer_;
  const std::uint64_t number_;
  const std::string peer_;
  WakerPtr waker_;
  RequestReader reader_;
  Phase phase_ = Phase::kReading;
  SteadyPoint deadline_ = kNever;
  SteadyPoint armed_for_ = kNever;  ///< kNever: the timer is not running.
  SteadyPoint body_since_ = kNever;
  bool waits_for_input_ = false;
  bool head_deadline_set_ = false;
  bool stopping_ = false;
  bool closing_ = false;  ///< The answer being written is the last.
  bool stream_writing_ = false;
  bool heartbeats_ = false;
  bool head_request_ = false;
  std::string input_;  ///< From input_used_ on: bytes of the next requests.
  std::size_t input_used_ = 0;
  std::string request_id_;
  std::string out_head_;
  std::string out_body_;
  ExchangePtr exchange_;
  OutgoingStreamPtr stream_;
};

class ConnectionWaker final : public Waker {
 public:
  ConnectionWaker(GatePtr gate, std::weak_ptr<ClientConnection> connection) : gate_(std::move(gate)), connection_(std::move(connection)) {}
  void wake() override {
    const std::shared_lock lock(gate_->mutex);
    if (!gate_->open) return;
    if (const auto connection = connection_.lock()) connection->wake();
  }

 private:
  GatePtr gate_;
  std::weak_ptr<ClientConnection> connection_;
};

void ClientConnection::do_start() {
  waker_ = std::make_shared<ConnectionWaker>(core_.gate, weak_from_this());
  set_deadline(SteadyClock::now() + core_.settings.header_timeout);
  read();
}

void ClientConnection::do_start_reserved() {
  reader_.take_reserved_only();
  do_start();
}

void ClientConnection::read() {
  if (waits_for_input_ || phase_ == Phase::kClosed) return;
  waits_for_input_ = true;
  wire_.wait_readable([self = shared_from_this()](bool failed) {
    self->waits_for_input_ = false;
    if (failed) return self->do_close();
    self->on_readable();
  });
}

void ClientConnection::on_readable() {
  // In any other phase the bytes stay in the socket until a phase that reads.
  if (phase_ != Phase::kReading && phase_ != Phase::kStreaming && phase_ != Phase::kLingering) return;
  std::string plain;
  switch (wire_.read(plain)) {
    case Wire::Read::kBytes:
      return take_input(std::move(plain));
    case Wire::Read::kNothing:
      return read();
    case Wire::Read::kEnd:
      return on_end_of_input();
    case Wire::Read::kFailed:
      return do_close();
  }
}

void ClientConnection::take_input(std::string plain) {
  if (phase_ != Phase::kReading) return read();  // Nothing is awaited from the client: a stream is the last answer of its connection.
  input_.empty() ? void(input_ = std::move(plain)) : void(input_ += plain);
  process();
}

void ClientConnection::on_end_of_input() {
  if (phase_ == Phase::kReading && (reader_.in_head() || reader_.in_body())) {
    ++core_.requests_refused;
    return send_problem(400, Category::kInvalidArgument, "http.incomplete", "The request ended before it was complete.", true);
  }
  do_close();
}

void ClientConnection::process() {
  std::size_t used = 0;
  const RequestReader::Step step = reader_.feed(std::string_view(input_).substr(input_used_), used);
  input_used_ += used;
  if (input_used_ == input_.size()) {
    input_used_ = 0;
    input_.clear();
    if (input_.capacity() > 16'384) input_ = {};
  }
  switch (step) {
    case RequestReader::Step::kNeedMore:
      input_.erase(0, std::exchange(input_used_, 0));
      set_read_deadline();
      return read();
    case RequestReader::Step::kContinue:
      set_read_deadline();
      return send_continue();
    case RequestReader::Step::kReady:
      return dispatch();
    case RequestReader::Step::kRefused:
      ++core_.requests_refused;
      request_id_ = reader_.request_id();
      return send(std::move(reader_).refusal(), true);
  }
}

void ClientConnection::set_read_deadline() {
  const SteadyPoint now = SteadyClock::now();
  if (reader_.in_body()) {
    if (body_since_ == kNever) body_since_ = now;
    set_deadline(body_since_ + core_.settings.request_timeout + transfer_allowance(reader_.body_bytes()));
  } else if (reader_.in_head() && !head_deadline_set_) {
    head_deadline_set_ = true;
    set_deadline(now + core_.settings.header_timeout);
  }
}

void ClientConnection::send_continue() {
  out_head_ = "HTTP/1.1 100 Continue\r\n\r\n";
  out_body_.clear();
  phase_ = Phase::kWriting;
  write_out(&ClientConnection::continue_sent);
}

void ClientConnection::continue_sent() {
  phase_ = Phase::kReading;
  process();
}

void ClientConnection::dispatch() {
  Request request = reader_.take();
  request.peer = peer_;
  phase_ = Phase::kHandling;
  head_request_ = request.method == "HEAD";
  request_id_ = request.request_id;
  closing_ = !reader_.keep_alive();
  exchange_ = std::make_shared<Exchange>(waker_, request_id_);
  ++core_.requests;
  set_deadline(SteadyClock::now() + core_.settings.request_timeout);
  try {
    core_.router.handle(std::move(request), std::make_shared<ExchangeResponder>(exchange_));
  } catch (...) {
    ++core_.handler_exceptions;
    exchange_->drop();
  }
  look_again();
}

void ClientConnection::look_again() {
  if (phase_ == Phase::kStreaming) return flush();
  if (phase_ != Phase::kHandling) return;
  std::optional<Exchange::Answer> answer = exchange_->take();
  if (!answer) return;
  if (answer->stream) return start_stream(std::move(*answer));
  send(std::move(answer->response), closing_ || stopping_);
}

void ClientConnection::send(Response response, bool close) {
  if (response.status >= 400 && response.body.empty() && !head_request_) {
    Response problem = problem_response(
        response.status, {Category::kUnknown, "http.refused", std::string(reason_phrase(response.status)), {}, {}}, request_id_);
    for (const auto& [name, value] : response.headers.fields()) problem.headers.set(name, value);
    problem.headers.set("Content-Type", "application/problem+json");
    response = std::move(problem);
  }
  phase_ = Phase::kWriting;
  closing_ = close;
  const bool with_body = has_body(response, head_request_);
  out_head_ = response_head(response, {.body = BodyKind::kSized,
                                       .close = close,
                                       .keep_alive_10 = !close && !reader_.http11(),
                                       .to_head_request = head_request_,
                                       .secure = wire_.secure(),
                                       .request_id = request_id_,
                                       .date = date_now()});
  out_body_ = with_body ? std::move(response.body) : std::string();
  set_deadline(SteadyClock::now() + core_.settings.request_timeout + transfer_allowance(out_body_.size()));
  write_out(&ClientConnection::sent);
}

void ClientConnection::send_problem(int status, Category category, std::string id, std::string message, bool close) {
  if (request_id_.empty()) request_id_ = reader_.request_id();
  if (request_id_.empty()) request_id_ = core_.ids.next();
  send(problem_response(status, {category, std::move(id), std::move(message), {}, {}}, request_id_), close);
}

void ClientConnection::sent() {
  out_body_ = {};
  if (exchange_) std::exchange(exchange_, nullptr)->abandon();
  if (closing_) return linger();
  if (stopping_) return do_close();
  phase_ = Phase::kReading;
  head_deadline_set_ = false;
  body_since_ = kNever;
  head_request_ = false;
  request_id_.clear();
  set_deadline(SteadyClock::now() + core_.settings.idle_timeout);
  if (input_.empty()) return read();
  process();
}

void ClientConnection::linger() {
  if (stopping_) return do_close();
  wire_.end_sending();
  phase_ = Phase::kLingering;
  set_deadline(SteadyClock::now() + kLinger);
  read();
}

void ClientConnection::start_stream(Exchange::Answer answer) {
  if (core_.streams_open.fetch_add(1) >= core_.settings.streams_max) {
    --core_.streams_open;
    answer.stream->end();
    return send_problem(503, Category::kUnavailable, "http.streams", "The server has no room for another stream; try again in a moment.",
                        closing_);
  }
  stream_ = std::move(answer.stream);
  heartbeats_ = answer.response.headers.get("Content-Type").value_or("").substr(0, 17) == "text/event-stream";
  if (heartbeats_ && !answer.response.headers.get("X-Accel-Buffering")) answer.response.headers.add("X-Accel-Buffering", "no");
  out_head_ = response_head(answer.response, {.body = reader_.http11() ? BodyKind::kChunked : BodyKind::kUntilClose,
                                              .close = true,
                                              .to_head_request = head_request_,
                                              .secure = wire_.secure(),
                                              .request_id = request_id_,
                                              .date = date_now()});
  out_body_.clear();
  closing_ = true;
  set_deadline(SteadyClock::now() + core_.settings.request_timeout);
  if (head_request_) {
    end_stream();
    phase_ = Phase::kWriting;
    return write_out(&ClientConnection::sent);
  }
  phase_ = Phase::kStreaming;
  stream_writing_ = true;
  if (stopping_) stream_->close();
  write_out(&ClientConnection::stream_sent);
  read();
}

void ClientConnection::stream_sent() {
  stream_writing_ = false;
  flush();
}

void ClientConnection::flush() {
  if (stream_writing_ || phase_ != Phase::kStreaming) return;
  std::string bytes;
  switch (stream_->take(bytes)) {
    case OutgoingStream::Take::kBytes:
      return send_chunk(std::move(bytes));
    case OutgoingStream::Take::kNothing:
      return set_deadline(heartbeats_ ? SteadyClock::now() + core_.settings.heartbeat : kNever);
    case OutgoingStream::Take::kCut:
      return do_close();
    case OutgoingStream::Take::kEnd:
      end_stream();
      phase_ = Phase::kWriting;
      out_head_ = reader_.http11() ? "0\r\n\r\n" : "";
      out_body_.clear();
      return write_out(&ClientConnection::sent);
  }
}

void ClientConnection::send_chunk(std::string bytes) {
  stream_writing_ = true;
  out_body_ = std::move(bytes);
  out_head_.clear();
  if (reader_.http11()) {
    out_head_ = fmt::format("{:x}\r\n", out_body_.size());
    out_body_ += "\r\n";
  }
  set_deadline(SteadyClock::now() + core_.settings.request_timeout);
  write_out(&ClientConnection::stream_sent);
}

void ClientConnection::end_stream() {
  if (!stream_) return;
  --core_.streams_open;
  std::exchange(stream_, nullptr)->end();
}

void ClientConnection::write_out(Step next) {
  wire_.write(out_head_, out_body_, [self = shared_from_this(), next](bool failed) {
    if (failed || self->phase_ == Phase::kClosed) return self->do_close();
    (*self.*next)();
  });
}

void ClientConnection::set_deadline(SteadyPoint deadline) {
  deadline_ = deadline;
  if (deadline < armed_for_) arm_timer();
}

void ClientConnection::arm_timer() {
  armed_for_ = deadline_;
  if (deadline_ == kNever) return;
  timer_.expires_at(deadline_);
  timer_.async_wait([self = shared_from_this()](error_code failure) {
    if (failure || self->phase_ == Phase::kClosed) return;
    self->armed_for_ = kNever;
    if (SteadyClock::now() < self->deadline_) return self->arm_timer();
    self->on_deadline();
  });
}

void ClientConnection::on_deadline() {
  switch (phase_) {
    case Phase::kReading:
      if (!reader_.in_head() && !reader_.in_body()) return do_close();
      ++core_.requests_refused;
      return send_problem(408, Category::kDeadlineExceeded, "http.slow_request",
                          "The request did not arrive in time; send it again, faster.", true);
    case Phase::kHandling:  // A late answer is dropped in `sent`.
      return send_problem(504, Category::kDeadlineExceeded, "http.deadline",
                          "The request was not answered in time; ask for its state, then try again.", closing_ || stopping_);
    case Phase::kStreaming:
      if (stream_writing_) return do_close();
      return send_chunk(": hb\n\n");
    case Phase::kWriting:
    case Phase::kLingering:
      return do_close();
    case Phase::kClosed:
      return;
  }
}

void ClientConnection::do_begin_stop() {
  stopping_ = true;
  if (phase_ == Phase::kStreaming) {
    stream_->close();
    return flush();
  }
  const bool idle = phase_ == Phase::kReading && !reader_.in_head() && !reader_.in_body();
  if (idle || phase_ == Phase::kLingering) do_close();
}

void ClientConnection::do_close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  error_code ignored;
  timer_.cancel(ignored);
  wire_.close();
  if (exchange_) std::exchange(exchange_, nullptr)->abandon();
  end_stream();
  core_.remove(number_);
}

}  // namespace

ConnectionPtr make_connection(ServerCore& core, asio::io_context& loop, int fd, std::uint64_t number) {
  Wire::Socket socket{asio::make_strand(loop)};
  error_code failure;
  // Only names the protocol to Asio: nothing asks for the address of an assigned socket.
  socket.assign(asio::ip::tcp::v4(), fd, failure);
  if (failure) return nullptr;
  const TlsContextPtr certificate = core.tls();
  std::unique_ptr<TlsSession> tls = certificate ? std::make_unique<TlsSession>(certificate) : nullptr;
  return std::make_shared<ClientConnection>(core, std::move(socket), std::move(tls), number);
}

}  // namespace trainyard::net::internal
