#include "adapters/agent_pool/http_link.h"

#include <fmt/format.h>
#include <sys/eventfd.h>

namespace trainyard::adapters::agent_pool {
namespace {

constexpr Duration kPatience = std::chrono::seconds(15);
/// Beyond what the server was asked to wait. With that less than a lease: a server that hangs and is replaced must not cost the node its
/// ranks.
constexpr Duration kSyncPatience = std::chrono::seconds(5);

std::string rank_target(const RankKey& rank, std::string_view what) {
  return fmt::format("/api/v1/agents/ranks/{}/{}/{}/{}", rank.attempt.job.value, rank.attempt.attempt.value, rank.rank, what);
}

}  // namespace

Error error_of(const net::Response& response) {
  const Result<Document> body = parse_json(response.body);
  const std::string code = body.ok() ? (*body)["code"].text() : "";
  Error error = unavailable(code.empty() ? "http.status" : code,
                            fmt::format("the server answered {}: {}", response.status, body.ok() ? (*body)["detail"].text() : ""));
  if (response.status == 401 || response.status == 403) error.category = Category::kUnauthenticated;
  // The agent gives up output that is damaged or does not fit, so the category must arrive as the embedded link shows it.
  for (const Category category :
       {Category::kInvalidArgument, Category::kFailedPrecondition, Category::kAborted, Category::kDataLoss, Category::kResourceExhausted,
        Category::kNotFound, Category::kAlreadyExists, Category::kPermissionDenied}) {
    if (body.ok() && (*body)["category"].text() == name_of(category)) error.category = category;
  }
  return error;
}

HttpLink::HttpLink(MakeClient connect, CredentialSource& credential)
    : connect_(std::move(connect)), credential_(credential), interrupted_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void HttpLink::interrupt() {
  // It fails when it was called very often already: then the event is there.
  (void)::eventfd_write(interrupted_.get(), 1);
}

Result<std::unique_ptr<net::HttpClient>> HttpLink::take_client() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return connect_();
  std::unique_ptr<net::HttpClient> client = std::move(idle_.back());
  idle_.pop_back();
  return client;
}

Result<Document> HttpLink::exchange(std::string method, std::string target, std::string body, Duration timeout, int cancel_fd) {
  net::ClientRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  ASSIGN_OR_RETURN(const std::string token, credential_.token());
  if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
  if (request.method == "POST") request.headers.set("Content-Type", "application/octet-stream");
  request.body = std::move(body);
  request.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(timeout);
  request.cancel_fd = cancel_fd;
  ASSIGN_OR_RETURN(std::unique_ptr<net::HttpClient> http, take_client());
  const Result<net::Response> response = http->send(request);
  if (!response.ok()) return response.error();
  {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(http));
  }
  if (response->status != 200) return error_of(*response);
  return parse_json(response->body);
}

Result<exec::DesiredState> HttpLink::sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait) {
  const std::string target =
      fmt::format("/api/v1/agents/{}/sync?seen={}&wait_us={}", net::percent_encode(observation.node.text), seen_version, wait.count());
  ASSIGN_OR_RETURN(const Document state,
                   exchange("POST", target, to_json(exec::to_document(observation)), wait + kSyncPatience, interrupted_.get()));
  return exec::desired_state_from(state);
}

Result<std::uint64_t> HttpLink::exchange_end(std::string method, std::string target, std::string body) {
  ASSIGN_OR_RETURN(const Document answer, exchange(std::move(method), std::move(target), std::move(body), kPatience));
  return answer["end"].as_unsigned();
}

Result<std::uint64_t> HttpLink::log_end(const RankKey& rank) { return exchange_end("GET", rank_target(rank, "log"), {}); }

Result<std::uint64_t> HttpLink::append_log(const RankKey& rank, std::uint64_t offset, std::string_view encoded) {
  return exchange_end("POST", rank_target(rank, "log") + fmt::format("?offset={}", offset), std::string(encoded));
}

Result<std::uint64_t> HttpLink::events_end(const RankKey& rank) { return exchange_end("GET", rank_target(rank, "events"), {}); }

Result<std::uint64_t> HttpLink::append_events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) {
  std::string body;
  for (const std::string& line : lines) body += line + "\n";
  return exchange_end("POST", rank_target(rank, "events") + fmt::format("?first={}", first), std::move(body));
}

}  // namespace trainyard::adapters::agent_pool
