#include "client/api_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "base/file.h"
#include "client/sse_parser.h"

namespace trainyard::client {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

/// For answers that name no category, e.g. those of a proxy.
Category category_of_status(int status) {
  switch (status) {
    case 401:
      return Category::kUnauthenticated;
    case 403:
      return Category::kPermissionDenied;
    case 404:
    case 410:
      return Category::kNotFound;
    case 405:
    case 501:
      return Category::kUnimplemented;
    case 408:
    case 504:
      return Category::kDeadlineExceeded;
    case 409:
      return Category::kAlreadyExists;
    case 412:
    case 428:
      return Category::kFailedPrecondition;
    case 429:
      return Category::kResourceExhausted;
    case 499:
      return Category::kCancelled;
    case 502:
    case 503:
      return Category::kUnavailable;
    default:
      return status < 500 ? Category::kInvalidArgument : Category::kInternal;
  }
}

std::optional<Category> category_of_name(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Category::kUnauthenticated); ++i) {
    if (name_of(static_cast<Category>(i)) == name) return static_cast<Category>(i);
  }
  return std::nullopt;
}

/// The pause between two connections; a stop request ends it.
void pause_unless_stopped(Milliseconds span, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, span, [] { return false; });
}

bool is_worth_another_try(int status) { return status >= 500 || status == 429 || status == 408; }

/// What one `follow` remembers from connection to connection.
class FollowProgress {
 public:
  explicit FollowProgress(const FollowSettings& settings) : settings_(settings), next_pause_(settings.retry_first) {
    if (settings.timeout.count() > 0) end_ = SteadyClock::now() + settings.timeout;
  }

  std::optional<Error> reason_to_end() const {
    if (settings_.stop.stop_requested()) return Error{Category::kCancelled, "client.stopped", "following the stream was stopped", {}, {}};
    if (SteadyClock::now() < end_) return std::nullopt;
    return Error{Category::kDeadlineExceeded, "client.follow_timeout", "the event that was waited for did not come in time", {}, {}};
  }
  bool server_was_away_too_long() const { return SteadyClock::now() - heard_at_ >= settings_.give_up_after; }

  void heard() {
    heard_at_ = SteadyClock::now();
    next_pause_ = settings_.retry_first;
  }
  Milliseconds longest_silence() const { return std::clamp(left(), Milliseconds(1), settings_.silence); }

  Milliseconds take_pause(std::optional<Milliseconds> wished) {
    const Milliseconds pause = std::min(std::max(wished.value_or(Milliseconds(0)), next_pause_), settings_.retry_max);
    next_pause_ = std::min(next_pause_ * 2, settings_.retry_max);
    return std::clamp(pause, Milliseconds(0), std::max(left(), Milliseconds(0)));
  }

 private:
  Milliseconds left() const {
    if (end_ == SteadyClock::time_point::max()) return Milliseconds::max();
    return std::chrono::ceil<Milliseconds>(end_ - SteadyClock::now());
  }

  const FollowSettings& settings_;
  SteadyClock::time_point end_ = SteadyClock::time_point::max();
  SteadyClock::time_point heard_at_ = SteadyClock::now();
  Milliseconds next_pause_;
};

Error unreadable_token(Error cause, const std::string& path) {
  cause.category = Category::kUnauthenticated;
  cause.id = "auth.token_file";
  cause.message = fmt::format(
      "the token file cannot be read; name the one that `trainyard up` prints with --token-file or TRAINYARD_TOKEN_FILE, as the user who "
      "owns it: {} ({})",
      path, cause.message);
  return cause;
}

}  // namespace

Result<std::unique_ptr<ApiClient>> make_api_client(const ServerAddress& address) {
  std::string token;
  if (!address.token_file.empty()) {
    Result<std::string> text = read_file(address.token_file, 4096);
    if (!text.ok()) return unreadable_token(std::move(text).error(), address.token_file);
    token = std::move(text).value();
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  }
  ASSIGN_OR_RETURN(std::unique_ptr<net::HttpClient> http, net::make_http_client(address.url, {.ca_file = address.ca_file}));
  return std::make_unique<ApiClient>(std::move(http), std::move(token));
}

Error error_from_response(const net::Response& response) {
  Error error{
      category_of_status(response.status), "http.status", fmt::format("the server answered with status {}", response.status), {}, {}};
  const Result<Document> body = parse_json(response.body);
  if (!body.ok() || !body->is_object()) return error;
  const Document& problem = *body;
  if (const std::string& code = problem["code"].text(); !code.empty()) error.id = code;
  if (const std::string& detail = problem["detail"].text(); !detail.empty()) error.message = detail;
  if (const std::optional<Category> category = category_of_name(problem["category"].text())) error.category = *category;
  const Document& errors = problem["errors"];
  if (!errors.items().empty()) error.where = errors.items().front()["pointer"].text();
  for (const Document& line : problem["context"].items()) {
    if (line.is_string()) error.context.push_back(line.text());
  }
  return error;
}

net::ClientRequest ApiClient::request(std::string method, const std::string& target) const {
  net::ClientRequest request;
  request.method = std::move(method);
  request.target = target;
  if (!token_.empty()) request.headers.set("Authorization", "Bearer " + token_);
  return request;
}

Result<net::Response> ApiClient::exchange(const net::ClientRequest& request) {
  ASSIGN_OR_RETURN(net::Response response, http_.send(request));
  if (response.status < 200 || response.status > 299) return refusal(response);
  return response;
}

Error ApiClient::refusal(const net::Response& response) {
  last_problem_ = parse_json(response.body).value_or(Document());
  return error_from_response(response);
}

Result<Document> ApiClient::exchange_json(const net::ClientRequest& request) {
  ASSIGN_OR_RETURN(const net::Response response, exchange(request));
  if (response.body.empty()) return Document::object();
  Result<Document> document = parse_json(response.body);
  if (document.ok()) return document;
  return data_loss("client.not_json",
                   fmt::format("the answer is not JSON: check that the URL is that of a Trainyard server; {} {}: {}", request.method,
                               request.target.substr(0, request.target.find('?')), document.error().message));
}

Result<Document> ApiClient::get(const std::string& target, std::chrono::milliseconds timeout) {
  net::ClientRequest call = request("GET", target);
  call.timeout = timeout;
  return exchange_json(call);
}

Result<Document> ApiClient::post(const std::string& target, const Document& body, const std::string& idempotency_key) {
  return post_text(target, to_json(body), "application/json", idempotency_key);
}

Result<Document> ApiClient::post_text(const std::string& target, std::string text, const std::string& content_type,
                                      const std::string& idempotency_key) {
  net::ClientRequest call = request("POST", target);
  call.headers.set("Content-Type", content_type);
  if (!idempotency_key.empty()) call.headers.set("Idempotency-Key", idempotency_key);
  call.body = std::move(text);
  return exchange_json(call);
}

Result<Document> ApiClient::put(const std::string& target, const Document& body) { return send_document("PUT", target, body); }

Result<Document> ApiClient::patch(const std::string& target, const Document& body) { return send_document("PATCH", target, body); }

Result<Document> ApiClient::send_document(std::string method, const std::string& target, const Document& body) {
  net::ClientRequest call = request(std::move(method), target);
  call.headers.set("Content-Type", "application/json");
  call.body = to_json(body);
  return exchange_json(call);
}

Result<Document> ApiClient::remove(const std::string& target) { return exchange_json(request("DELETE", target)); }

Result<std::string> ApiClient::get_text(const std::string& target) {
  ASSIGN_OR_RETURN(net::Response response, exchange(request("GET", target)));
  return std::move(response.body);
}

Result<void> ApiClient::follow(const std::string& target, const OnEvent& on_event, const FollowSettings& settings) {
  FollowProgress progress(settings);
  SseParser parser;
  parser.set_last_id(settings.last_event_id);
  for (;;) {
    net::ClientRequest call = request("GET", target);
    call.headers.set("Accept", "text/event-stream");
    if (!parser.last_id().empty()) call.headers.set("Last-Event-ID", parser.last_id());
    call.timeout = progress.longest_silence();
    parser.begin_connection();
    Result<bool> wanted = true;
    const Result<net::Response> response = http_.stream(call, [&](std::string_view bytes) {
      progress.heard();
      wanted = parser.feed(bytes, [&on_event](const SseEvent& event) { return on_event(event.id, event.event, event.data); });
      return wanted.ok() && *wanted && !progress.reason_to_end();
    });
    if (!wanted.ok()) return std::move(wanted).error();
    if (!*wanted || (response.ok() && response->status == 204)) return {};
    if (std::optional<Error> reason = progress.reason_to_end()) return *std::move(reason);

    const bool refused = response.ok() && response->status != 200;
    if (refused && !is_worth_another_try(response->status)) return refusal(*response);
    if ((refused || !response.ok()) && progress.server_was_away_too_long()) {
      return refused ? refusal(*response) : response.error();
    }
    pause_unless_stopped(progress.take_pause(parser.retry()), settings.stop);
    if (std::optional<Error> reason = progress.reason_to_end()) return *std::move(reason);
  }
}

}  // namespace trainyard::client
