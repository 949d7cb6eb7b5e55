#include "net/internal/request_reader.h"

#include <strings.h>

#include <algorithm>

#include "base/rng.h"
#include "net/target.h"

namespace trainyard::net::internal {
namespace {

/// Smaller bodies are read before the router is asked: the connection then stays usable after a refusal.
constexpr std::uint64_t kSmallBody = 65'536;
constexpr std::uint64_t kReserveMax = 1'048'576;

std::size_t count_fields(const Headers& headers, std::string_view name) {
  return static_cast<std::size_t>(std::count_if(headers.fields().begin(), headers.fields().end(), [name](const auto& field) {
    return field.first.size() == name.size() && ::strncasecmp(field.first.data(), name.data(), name.size()) == 0;
  }));
}

Refusal refused(int status, Category category, std::string id, std::string message) {
  return {status, {category, std::move(id), std::move(message), {}, {}}};
}

/// "00-<32 hex digits>-<16 hex digits>-<2 hex digits>" in lower case, with neither id all zeros (W3C Trace Context, version 00).
bool is_traceparent(std::string_view text) {
  static constexpr std::string_view kForm = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
  if (text.size() != kForm.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (kForm[i] == 'x' ? !hex : text[i] != kForm[i]) return false;
  }
  const auto all_zeros = [](std::string_view id) { return id.find_first_not_of('0') == std::string_view::npos; };
  return !all_zeros(text.substr(3, 32)) && !all_zeros(text.substr(36, 16));
}

/// "http://host/path" becomes "/path" and the host it names (RFC 9112 section 3.2.2).
std::optional<std::string> take_authority(std::string& target) {
  static constexpr std::string_view kPlain = "http://";
  static constexpr std::string_view kSecure = "https://";
  const std::size_t scheme = target.starts_with(kPlain) ? kPlain.size() : target.starts_with(kSecure) ? kSecure.size() : 0;
  if (scheme == 0) return std::nullopt;
  const std::size_t slash = target.find('/', scheme);
  std::string authority = target.substr(scheme, slash == std::string::npos ? slash : slash - scheme);
  target = slash == std::string::npos ? "/" : target.substr(slash);
  return authority;
}

}  // namespace

RequestIds::RequestIds() : prefix_(secure_random_hex(4)) {}

std::string RequestIds::next() { return prefix_ + "-" + std::to_string(count_.fetch_add(1, std::memory_order_relaxed) + 1); }

std::string RequestIds::accept(std::string_view proposed) {
  const auto harmless = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  if (proposed.empty() || proposed.size() > 64 || !std::all_of(proposed.begin(), proposed.end(), harmless)) return next();
  return std::string(proposed);
}

RequestReader::Step RequestReader::feed(std::string_view bytes, std::size_t& used) {
  used = 0;
  if (state_ == State::kHead) {
    const Step step = feed_head(bytes, used);
    if (step != Step::kReady) return step;
    bytes.remove_prefix(used);
    // An impatient client that sent its body already needs no consent.
    if (wants_continue_ && bytes.empty()) return Step::kContinue;
  }
  state_ = State::kBody;
  std::size_t more = 0;
  const Step step = feed_body(bytes, more);
  used += more;
  return step;
}

RequestReader::Step RequestReader::feed_head(std::string_view bytes, std::size_t& used) {
  if (!begun_) {
    request_ = {};
    // One empty line before a request line is ignored (RFC 9112 section 2.2).
    if (bytes.substr(0, 2) == "\r\n") used = 2;
    begun_ = bytes.size() > used && bytes != "\r";
    if (!begun_) return Step::kNeedMore;
  }
  std::size_t taken = 0;
  const HeadParser::Status status = parser_.feed(bytes.substr(used), taken);
  used += taken;
  if (status == HeadParser::Status::kNeedMore) return Step::kNeedMore;
  if (status == HeadParser::Status::kRefused) return refuse(parser_.refusal().status, parser_.refusal().error);

  MessageHead head = parser_.take();
  request_.request_id = ids_.accept(head.headers.get("x-request-id").value_or(""));
  keep_alive_ = keeps_alive(head);
  http11_ = head.http11;
  const FramingResult framing = framing_of(head);
  if (framing.refusal) return refuse(framing.refusal->status, framing.refusal->error);
  framing_ = framing.framing;
  if (const std::optional<Refusal> refusal = check_caller(head)) return refuse(refusal->status, refusal->error);

  Result<Target> target = parse_target(head.target);
  if (!target.ok()) return refuse(400, target.error());
  request_.method = std::move(head.method);
  request_.path = std::move(target->path);
  request_.query = std::move(target->query);
  request_.headers = std::move(head.headers);
  if (const auto trace = request_.headers.get("traceparent"); trace && is_traceparent(*trace)) request_.traceparent = std::string(*trace);
  return begin_body();
}

std::optional<Refusal> RequestReader::check_caller(MessageHead& head) const {
  const std::size_t hosts = count_fields(head.headers, "Host");
  if (hosts > 1 || (hosts == 0 && head.http11)) {
    return refused(400, Category::kInvalidArgument, "http.host_missing", "An HTTP/1.1 request must carry the field Host once.");
  }
  if (count_fields(head.headers, "Authorization") > 1) {
    return refused(400, Category::kInvalidArgument, "http.repeated_field", "A request must carry the field Authorization at most once.");
  }
  if (std::optional<std::string> authority = take_authority(head.target)) head.headers.set("Host", std::move(*authority));
  const auto host = head.headers.get("Host");
  if (host && !host_is_allowed(*host, rules_.callers)) {
    return refused(403, Category::kPermissionDenied, "http.host",
                   "This server does not answer under that name; use its configured host or add the name to its allowed hosts: " +
                       host_name_of(*host));
  }
  if (!origin_is_allowed(head.method, head.headers, rules_.callers)) {
    return refused(
        403, Category::kPermissionDenied, "http.origin",
        "A page of another site may not call this server; open the page from this server or add its origin to the allowed origins.");
  }
  if (const auto expect = head.headers.get("Expect"); expect && ::strcasecmp(std::string(*expect).c_str(), "100-continue") != 0) {
    return refused(417, Category::kInvalidArgument, "http.expect", "The only expectation this server meets is 100-continue.");
  }
  return std::nullopt;
}

RequestReader::Step RequestReader::begin_body() {
  if (reserved_only_ && !router_.is_reserved(request_.method, request_.path)) {
    return refuse(503, unavailable("http.connections",
                                   "The server has no room for another connection; try again in a moment or close idle connections."));
  }
  body_max_ = router_.body_limit(request_.method, request_.path);
  wants_continue_ = http11_ && request_.headers.get("Expect").has_value() && (framing_.chunked || framing_.length > 0);
  if (framing_.chunked || framing_.length > kSmallBody || wants_continue_) {
    if (std::optional<Response> refusal = router_.refusal_of(request_)) {
      refusal_ = std::move(*refusal);
      return Step::kRefused;
    }
  }
  if (framing_.length > body_max_) {
    refusal_ = router_.body_too_large(request_);
    return Step::kRefused;
  }
  // Bounded: what a client announces is not yet what it sends.
  request_.body.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(framing_.length, kReserveMax)));
  decoder_ = ChunkedDecoder(body_max_);
  state_ = State::kAdmitted;
  return Step::kReady;
}

RequestReader::Step RequestReader::feed_body(std::string_view bytes, std::size_t& used) {
  if (!framing_.chunked) {
    const std::uint64_t missing = framing_.length - request_.body.size();
    used = static_cast<std::size_t>(std::min<std::uint64_t>(missing, bytes.size()));
    request_.body.append(bytes.substr(0, used));
    return request_.body.size() == framing_.length ? Step::kReady : Step::kNeedMore;
  }
  switch (decoder_.feed(bytes, used, request_.body)) {
    case ChunkedDecoder::Status::kNeedMore:
      return Step::kNeedMore;
    case ChunkedDecoder::Status::kDone:
      return Step::kReady;
    case ChunkedDecoder::Status::kTooLarge:
      refusal_ = router_.body_too_large(request_);
      return Step::kRefused;
    case ChunkedDecoder::Status::kMalformed:
      return refuse(400, invalid_argument("http.chunk", "The chunked body is malformed; send each chunk as SIZE CRLF DATA CRLF."));
  }
  return Step::kRefused;
}

RequestReader::Step RequestReader::refuse(int status, const Error& error) {
  if (request_.request_id.empty()) request_.request_id = ids_.next();
  refusal_ = problem_response(status, error, request_.request_id);
  return Step::kRefused;
}

Request RequestReader::take() {
  state_ = State::kHead;
  begun_ = false;
  wants_continue_ = false;
  return std::move(request_);
}

}  // namespace trainyard::net::internal
