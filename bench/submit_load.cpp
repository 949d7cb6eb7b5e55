// Offers job submits to a running server from many connections and says what came of them. Prints one JSON line.
//
// usage: submit_load --port P --token-file F [--connections 8] [--rate R] [--seconds 10] [--batch 1] [--wait DURATION]
//
// The jobs are held, or with --wait they may wait so long for room and are over then, so that they do not pile up.
//
// Without --rate each connection sends its next request when the last one was answered. With it R requests a second are offered whether or
// not they are answered: those that find no free connection are counted as `unsent`. Goodput counts jobs that were acknowledged.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/time.h"

namespace trainyard {
namespace {

struct Options {
  int port = 0;
  std::string token;
  int connections = 8;
  double rate = 0;
  double seconds = 10;
  int batch = 1;
  std::string wait;
};

struct Counts {
  std::map<int, std::uint64_t> by_status;
  std::uint64_t broken = 0;  ///< Connections that ended without an answer.
  std::uint64_t unsent = 0;
  std::uint64_t without_retry_after = 0;
  std::vector<double> accepted_ms;
  std::vector<double> refused_ms;
};

/// One connection: idle, sending, or waiting for its answer.
struct Client {
  int socket = -1;
  std::size_t sent = 0;
  bool busy = false;
  MonotonicPoint begun;
  std::string answer;
};

double ms_between(MonotonicPoint from, MonotonicPoint to) { return std::chrono::duration<double, std::milli>(to - from).count(); }

std::string request_text(const Options& options) {
  const std::string waiting = options.wait.empty() ? R"("hold":true})" : fmt::format(R"("limits":{{"queue":"{}"}}}})", options.wait);
  const std::string spec =
      R"({"command":["python3","train.py","--epochs","10","--seed","17"],"name":"load","resources":{"cpu":"2","memory":"1GiB"},)"
      R"("env":{"DATASET":"fashion","MODE":"quick"},"labels":{"team":"vision","project":"digits","owner":"nobody"},)" +
      waiting;
  std::string body = spec;
  if (options.batch > 1) {
    body = R"({"jobs":[)" + spec;
    for (int i = 1; i < options.batch; ++i) body += "," + spec;
    body += "]}";
  }
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: "
      "{}\r\n\r\n{}",
      options.batch > 1 ? "/api/v1/jobs:batch" : "/api/v1/jobs", options.port, options.token, body.size(), body);
}

/// Keeps the connections, sends requests and reads answers, on one thread.
class Load {
 public:
  Load(Options options, const Clock& clock)
      : options_(std::move(options)), clock_(clock), request_(request_text(options_)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    clients_.resize(static_cast<std::size_t>(options_.connections));
  }
  ~Load() {
    for (const Client& client : clients_) {
      if (client.socket >= 0) ::close(client.socket);
    }
    ::close(epoll_);
  }

  Counts run() {
    const MonotonicPoint start = clock_.monotonic_now();
    std::uint64_t offered = 0;
    for (double elapsed = 0; elapsed < options_.seconds; elapsed = ms_between(start, clock_.monotonic_now()) / 1e3) {
      if (options_.rate <= 0) {
        for (std::size_t i = 0; i < clients_.size(); ++i) {
          if (!clients_[i].busy) begin(i);
        }
      } else {
        for (const auto due = static_cast<std::uint64_t>(elapsed * options_.rate); offered < due; ++offered) offer();
      }
      wait();
    }
    return std::move(counts_);
  }

 private:
  void offer() {
    // With none idle there is nothing to look for: the machine's time belongs to the server.
    if (busy_ == clients_.size()) {
      ++counts_.unsent;
      return;
    }
    do next_ = (next_ + 1) % clients_.size();
    while (clients_[next_].busy);
    begin(next_);
  }

  bool connect(std::size_t index) {
    Client& client = clients_[index];
    client.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(options_.port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(client.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(client.socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) return false;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.u64 = index;
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.socket, &event) == 0;
  }

  void begin(std::size_t index) {
    Client& client = clients_[index];
    client.busy = true;
    ++busy_;
    client.sent = 0;
    client.answer.clear();
    client.begun = clock_.monotonic_now();
    if (client.socket < 0 && !connect(index)) return fail(client);
    push(client);
  }

  void fail(Client& client) {
    if (client.socket >= 0) ::close(client.socket);
    if (client.busy) {
      ++counts_.broken;
      --busy_;
    }
    client = {};
  }

  void push(Client& client) {
    while (client.sent < request_.size()) {
      const ssize_t count = ::send(client.socket, request_.data() + client.sent, request_.size() - client.sent, MSG_NOSIGNAL);
      if (count < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
      // An answer may already be there: a server that refuses need not read the body.
      if (count < 0) return;
      client.sent += static_cast<std::size_t>(count);
    }
  }

  void pull(Client& client) {
    std::array<char, 65'536> buffer{};
    for (;;) {
      const ssize_t count = ::recv(client.socket, buffer.data(), buffer.size(), 0);
      if (count < 0 && errno == EAGAIN) break;
      if (count > 0) client.answer.append(buffer.data(), static_cast<std::size_t>(count));
      const bool done = client.busy && finish(client);
      if (count <= 0) {
        if (done) client.busy = false;
        return fail(client);
      }
    }
  }

  /// Counts the answer once it is whole.
  bool finish(Client& client) {
    const std::size_t head_end = client.answer.find("\r\n\r\n");
    if (head_end == std::string::npos || client.answer.size() < 12) return false;
    std::string head = client.answer.substr(0, head_end);
    std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::size_t length = 0;
    if (const std::size_t at = head.find("content-length: "); at != std::string::npos) {
      std::from_chars(head.data() + at + 16, head.data() + head.size(), length);
    }
    if (client.answer.size() < head_end + 4 + length) return false;
    const int status = std::atoi(client.answer.c_str() + 9);
    ++counts_.by_status[status];
    (status < 300 ? counts_.accepted_ms : counts_.refused_ms).push_back(ms_between(client.begun, clock_.monotonic_now()));
    if ((status == 429 || status == 503) && head.find("retry-after:") == std::string::npos) ++counts_.without_retry_after;
    const bool closes = head.find("connection: close") != std::string::npos || client.sent < request_.size();
    client.busy = false;
    --busy_;
    if (closes) fail(client);
    return true;
  }

  void wait() {
    std::array<epoll_event, 256> events{};
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1);
    for (int i = 0; i < count; ++i) {
      const std::size_t index = events[static_cast<std::size_t>(i)].data.u64;
      Client& client = clients_[index];
      if (client.socket < 0) continue;
      if (client.busy) push(client);
      pull(client);
    }
  }

  Options options_;
  const Clock& clock_;
  std::string request_;
  int epoll_;
  std::vector<Client> clients_;
  std::size_t next_ = 0;
  std::size_t busy_ = 0;
  Counts counts_;
};

double at_share(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<std::size_t>(static_cast<double>(values.size()) * share))];
}

Result<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* const value = argv[i + 1];
    if (name == "--port") options.port = std::atoi(value);
    if (name == "--connections") options.connections = std::atoi(value);
    if (name == "--rate") options.rate = std::atof(value);
    if (name == "--seconds") options.seconds = std::atof(value);
    if (name == "--wait") options.wait = value;
    if (name == "--batch") options.batch = std::atoi(value);
    if (name != "--token-file") continue;
    ASSIGN_OR_RETURN(options.token, read_file(value, 4096));
    while (!options.token.empty() && options.token.back() == '\n') options.token.pop_back();
  }
  if (options.port <= 0 || options.connections <= 0 || options.batch <= 0) {
    return invalid_argument("usage",
                            "usage: submit_load --port P --token-file F [--connections N] [--rate R] [--seconds S] [--batch B] [--wait D]");
  }
  return options;
}

}  // namespace
}  // namespace trainyard

int main(int argc, char** argv) {
  using namespace trainyard;
  const Result<Options> options = parse(argc, argv);
  if (!options.ok()) {
    fmt::print(stderr, "{}\n", options.error().message);
    return 2;
  }
  const SystemClock clock;
  Counts counts = Load(*options, clock).run();
  std::string statuses;
  std::uint64_t acknowledged = 0;
  for (const auto& [status, count] : counts.by_status) {
    statuses += fmt::format("{}\"{}\": {}", statuses.empty() ? "" : ", ", status, count);
    if (status < 300) acknowledged += count * static_cast<std::uint64_t>(options->batch);
  }
  fmt::print(R"({{"benchmark": "submit_load", "connections": {}, "batch": {}, "offered_per_s": {:.0f}, "seconds": {:.1f}, )"
             R"("jobs_acknowledged": {}, "goodput_per_s": {:.0f}, "statuses": {{{}}}, "unsent": {}, "broken": {}, )"
             R"("without_retry_after": {}, "accepted_p50_ms": {:.2f}, "accepted_p99_ms": {:.2f}, "refused_p99_ms": {:.2f}}})"
             "\n",
             options->connections, options->batch, options->rate * options->batch, options->seconds, acknowledged,
             static_cast<double>(acknowledged) / options->seconds, statuses, counts.unsent, counts.broken, counts.without_retry_after,
             at_share(counts.accepted_ms, 0.5), at_share(counts.accepted_ms, 0.99), at_share(counts.refused_ms, 0.99));
  return 0;
}
