#include "api/forward/forwarder.h"

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "net/router.h"

namespace trainyard::api {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// What a message does not take along: fields for one connection, and where its page came from, which was held against the address that the
/// client knows.
bool stays_here(std::string_view name) {
  static constexpr std::string_view kNames[] = {"connection",          "keep-alive", "proxy-authenticate",
                                                "proxy-authorization", "te",         "trailer",
                                                "transfer-encoding",   "upgrade",    "host",
                                                "content-length",      "expect",     "origin"};
  const std::string small = lower(name);
  return std::find(std::begin(kNames), std::end(kNames), small) != std::end(kNames);
}

/// Path and query as they go on the wire. Segments are encoded each, so that what was decoded once stays one segment.
std::string target_of(const net::Request& request) {
  std::string target;
  std::string_view rest = request.path;
  while (!rest.empty()) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    target += net::percent_encode(rest.substr(0, slash));
    if (slash < rest.size()) target += '/';
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  char separator = '?';
  for (const auto& [key, value] : request.query) {
    target += separator + net::percent_encode(key) + "=" + net::percent_encode(value);
    separator = '&';
  }
  return target;
}

net::Response away(std::string id, std::string message, const net::Request& request) {
  net::Response response = net::problem_response(unavailable(std::move(id), std::move(message)), request.request_id);
  response.headers.set("Retry-After", "1");
  return response;
}

net::Response without_hops(net::Response response) {
  response.headers = end_to_end(response.headers);
  return response;
}

}  // namespace

net::Headers end_to_end(const net::Headers& headers) {
  // A sender may declare further fields to be for one connection only.
  std::set<std::string> declared;
  const std::string list = lower(headers.get("Connection").value_or(""));
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    const std::size_t first = std::min(list.find_first_not_of(" \t", at), comma);
    const std::size_t last = list.find_last_not_of(" \t", comma - 1);
    if (first < comma) declared.insert(list.substr(first, last + 1 - first));
    at = comma + 1;
  }
  net::Headers kept;
  for (const auto& [name, value] : headers.fields()) {
    if (!stays_here(name) && !declared.contains(lower(name))) kept.add(name, value);
  }
  return kept;
}

Forwarder::Forwarder(ForwarderSettings settings, Target target)
    : settings_(settings), target_(std::move(target)), cancel_(::eventfd(0, EFD_CLOEXEC)) {}

Forwarder::~Forwarder() {
  std::vector<std::jthread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    threads = std::move(threads_);
  }
  changed_.notify_all();
  ::eventfd_write(cancel_.get(), 1);
}

void Forwarder::forward(net::Request request, net::ResponderPtr responder) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || in_flight_ >= settings_.in_flight_max) {
      return responder->respond(away("leader.busy", "too many requests are being forwarded to the leader; try again in a moment", request));
    }
    tasks_.push_back({std::move(request), std::move(responder)});
    if (++in_flight_ > threads_.size()) threads_.emplace_back([this] { work(); });
  }
  changed_.notify_one();
}

void Forwarder::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    carry(task.request, task.responder);
    lock.lock();
    --in_flight_;
  }
}

bool Forwarder::is_stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool Forwarder::wait_for_room(net::ResponseStream& stream) {
  struct Room {
    std::mutex mutex;
    std::condition_variable changed;
    bool there = false;  // guarded by mutex
  };
  const auto room = std::make_shared<Room>();  // shared: with the callback, which may come late
  const bool at_once = stream.has_room([room] {
    const std::lock_guard lock(room->mutex);
    room->there = true;
    room->changed.notify_all();
  });
  if (at_once) return !is_stopping();
  constexpr auto kLook = std::chrono::milliseconds(100);
  std::unique_lock lock(room->mutex);
  for (Duration waited{0}; waited < settings_.timeout && !is_stopping(); waited += kLook) {
    if (room->changed.wait_for(lock, kLook, [&room] { return room->there; })) return true;
  }
  return false;
}

void Forwarder::carry(const net::Request& request, const net::ResponderPtr& responder) {
  const std::optional<std::string> url = target_();
  // Who was asked as the leader and is none does not pass it on: the one who asked will soon know better.
  if (!url || request.headers.get(net::kForwardedField)) {
    return responder->respond(away(
        "leader.unknown", "no server leads this installation at the moment, so jobs cannot be reached; try again in a moment", request));
  }
  Result<Connection> connection = take_connection(*url);
  if (!connection.ok()) return responder->respond(away("leader.unreachable", connection.error().describe(), request));

  std::shared_ptr<net::ResponseStream> stream;  // shared: see Responder::stream
  net::ClientRequest onward{.method = request.method,
                            .target = target_of(request),
                            .headers = end_to_end(request.headers),
                            .body = request.body,
                            .timeout = settings_.timeout,
                            .cancel_fd = cancel_.get()};
  onward.headers.set("X-Request-Id", request.request_id);
  onward.headers.set(std::string(net::kForwardedField), request.peer.empty() ? "unknown" : request.peer);
  onward.on_head = [&](const net::Response& head) {
    // What has no length yet goes on as it comes.
    if (head.status == 200 && !head.headers.get("Content-Length")) stream = responder->stream(without_hops(head));
  };
  std::string body;
  bool whole = true;
  const auto on_bytes = [&](std::string_view bytes) {
    if (stream) {
      whole = wait_for_room(*stream) && stream->write(std::string(bytes));
    } else {
      body.append(bytes);
      whole = !is_stopping();
    }
    return whole;
  };
  Result<net::Response> answer = connection->client->stream(onward, on_bytes);
  if (stream) return answer.ok() && whole ? stream->close() : stream->cut();
  if (!answer.ok()) {
    return responder->respond(
        away("leader.unreachable",
             fmt::format("the leader could not be asked; look for the state of things before you try again: {}", answer.error().describe()),
             request));
  }
  give_back(std::move(connection).value());
  if (!body.empty()) answer->body = std::move(body);
  responder->respond(without_hops(std::move(answer).value()));
}

Result<Forwarder::Connection> Forwarder::take_connection(const std::string& url) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(idle_, [&](const Connection& connection) { return connection.url != url; });
    if (!idle_.empty()) {
      Connection connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  ASSIGN_OR_RETURN(std::unique_ptr<net::HttpClient> client, net::make_http_client(url, settings_.tls));
  return Connection{url, std::move(client)};
}

void Forwarder::give_back(Connection connection) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < settings_.idle_connections_max) idle_.push_back(std::move(connection));
}

}  // namespace trainyard::api
