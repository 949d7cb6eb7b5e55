#include "client/api_client.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/file.h"
#include "client/sse_parser.h"

namespace trainyard::client {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

std::string data_home() {
  const std::string xdg = environment("XDG_DATA_HOME");
  return xdg.empty() ? environment("HOME") + "/.local/share" : xdg;
}

Category category_of_status(int status) {
  switch (status) {
    case 400:
    case 413:
    case 422: return Category::kInvalidArgument;
    case 401: return Category::kUnauthenticated;
    case 403: return Category::kPermissionDenied;
    case 404: return Category::kNotFound;
    case 409: return Category::kAlreadyExists;
    case 412: return Category::kFailedPrecondition;
    case 429: return Category::kResourceExhausted;
    case 501: return Category::kUnimplemented;
    case 503: return Category::kUnavailable;
    case 504: return Category::kDeadlineExceeded;
    default: return Category::kInternal;
  }
}

std::optional<Category> category_of_name(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Category::kUnauthenticated); ++i) {
    if (name_of(static_cast<Category>(i)) == name) return static_cast<Category>(i);
  }
  return std::nullopt;
}

}  // namespace

Result<ServerAddress> find_server(const AddressHints& hints) {
  ServerAddress address{hints.url, hints.token_file};
  if (address.url.empty()) address.url = environment("TRAINYARD_URL");
  if (address.url.empty()) address.url = environment("TRAINYARD_API_URL");
  if (address.token_file.empty()) address.token_file = environment("TRAINYARD_TOKEN_FILE");
  if (!address.url.empty()) return address;

  const std::string path = data_home() + "/trainyard/server.json";
  const Result<std::string> text = read_file(path, 64 * 1024);
  if (!text.ok()) {
    return failed_precondition("client.no_server", fmt::format("no server is known: start one with `trainyard up`, or name one with --url or "
                                                               "TRAINYARD_URL; looked for {}", path));
  }
  ASSIGN_OR_RETURN(const Document document, parse_json(*text));
  ASSIGN_OR_RETURN(address.url, document.string_at("url"));
  if (address.token_file.empty()) {
    ASSIGN_OR_RETURN(address.token_file, document.string_or("token_file", ""));
  }
  return address;
}

Result<std::unique_ptr<ApiClient>> make_api_client(const ServerAddress& address) {
  std::string token;
  if (!address.token_file.empty()) {
    Result<std::string> text = read_file(address.token_file, 4096);
    if (!text.ok()) return std::move(text).error().with_context("reading the token file");
    token = std::move(text).value();
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  }
  ASSIGN_OR_RETURN(std::unique_ptr<net::HttpClient> http, net::make_http_client(address.url));
  return std::make_unique<ApiClient>(std::move(http), std::move(token));
}

Error error_from_response(const net::Response& response) {
  Error error{category_of_status(response.status), "http.status", fmt::format("the server answered with status {}", response.status), {}, {}};
  const Result<Document> body = parse_json(response.body);
  if (!body.ok() || !body->is_object()) return error;
  if (const std::string& code = (*body)["code"].text(); !code.empty()) error.id = code;
  if (const std::string& detail = (*body)["detail"].text(); !detail.empty()) error.message = detail;
  if (const std::optional<Category> category = category_of_name((*body)["category"].text())) error.category = *category;
  const Document& errors = (*body)["errors"];
  if (!errors.items().empty()) error.where = errors.items().front()["pointer"].text();
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
  ASSIGN_OR_RETURN(net::Response response, http_->send(request));
  if (response.status < 200 || response.status > 299) return error_from_response(response);
  return response;
}

Result<Document> ApiClient::exchange_json(const net::ClientRequest& request) {
  ASSIGN_OR_RETURN(const net::Response response, exchange(request));
  if (response.body.empty()) return Document::object();
  return parse_json(response.body);
}

Result<Document> ApiClient::get(const std::string& target, std::chrono::milliseconds timeout) {
  net::ClientRequest call = request("GET", target);
  call.timeout = timeout;
  return exchange_json(call);
}

Result<Document> ApiClient::post(const std::string& target, const Document& body) { return post_text(target, to_json(body), "application/json"); }

Result<Document> ApiClient::post_text(const std::string& target, std::string text, const std::string& content_type,
                                      const std::string& idempotency_key) {
  net::ClientRequest call = request("POST", target);
  call.headers.set("Content-Type", content_type);
  if (!idempotency_key.empty()) call.headers.set("Idempotency-Key", idempotency_key);
  call.body = std::move(text);
  return exchange_json(call);
}

Result<Document> ApiClient::put(const std::string& target, const Document& body) {
  net::ClientRequest call = request("PUT", target);
  call.headers.set("Content-Type", "application/json");
  call.body = to_json(body);
  return exchange_json(call);
}

Result<Document> ApiClient::remove(const std::string& target) { return exchange_json(request("DELETE", target)); }

Result<std::string> ApiClient::get_text(const std::string& target) {
  ASSIGN_OR_RETURN(net::Response response, exchange(request("GET", target)));
  return std::move(response.body);
}

Result<void> ApiClient::follow(const std::string& target, const OnEvent& on_event, int reconnects_max) {
  bool wanted = true;
  bool heard = false;
  SseParser parser([&](const std::string& id, const std::string& event, const std::string& data) {
    heard = true;
    return wanted = on_event(id, event, data);
  });
  int silent_tries = 0;
  for (;;) {
    net::ClientRequest call = request("GET", target);
    call.headers.set("Accept", "text/event-stream");
    if (!parser.last_id().empty()) call.headers.set("Last-Event-ID", parser.last_id());
    call.timeout = std::chrono::seconds(60);
    heard = false;
    Result<net::Response> response = http_->stream(call, [&parser](std::string_view bytes) { return parser.feed(bytes); });
    if (!wanted) return {};
    if (response.ok() && response->status != 200) return error_from_response(*response);
    silent_tries = heard ? 0 : silent_tries + 1;
    if (silent_tries > reconnects_max) {
      return response.ok() ? unavailable("net.closed", "the server keeps ending the stream") : std::move(response).error();
    }
    std::unique_lock lock(pause_mutex_);
    pause_.wait_for(lock, std::chrono::milliseconds(250));
  }
}

}  // namespace trainyard::client
