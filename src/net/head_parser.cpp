// The only unit that sees Beast: its parser reads request and status lines and header fields. Bodies are framed by our own code.
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>
#include <variant>

#include "net/internal/message_head.h"

namespace trainyard::net::internal {
namespace {

namespace http = boost::beast::http;
using RequestParser = http::request_parser<http::empty_body>;
using ResponseParser = http::response_parser<http::empty_body>;

/// Whether a line in `bytes`, which follow `before`, begins with a blank.
bool holds_fold(char before, std::string_view bytes) {
  for (const char c : bytes) {
    if (before == '\n' && (c == ' ' || c == '\t')) return true;
    before = c;
  }
  return false;
}

std::string text_of(boost::beast::string_view text) { return {text.data(), text.size()}; }

template <typename Parser>
void prepare(Parser& parser, std::size_t head_max) {
  parser.header_limit(static_cast<std::uint32_t>(head_max));
  parser.body_limit(boost::none);
  parser.eager(false);
}

MessageHead head_of(RequestParser& parser) {
  const auto& message = parser.get();
  MessageHead head;
  head.method = text_of(message.method_string());
  head.target = text_of(message.target());
  head.http11 = message.version() >= 11;
  for (const auto& field : message) head.headers.add(text_of(field.name_string()), text_of(field.value()));
  return head;
}

MessageHead head_of(ResponseParser& parser) {
  const auto& message = parser.get();
  MessageHead head;
  head.status = static_cast<int>(message.result_int());
  head.http11 = message.version() >= 11;
  for (const auto& field : message) head.headers.add(text_of(field.name_string()), text_of(field.value()));
  return head;
}

}  // namespace

struct HeadParser::State {
  explicit State(Kind wanted) : kind(wanted) {}

  Kind kind;
  std::variant<std::monostate, RequestParser, ResponseParser> parser;

  void start(std::size_t head_max) {
    if (kind == Kind::kRequest) {
      prepare(parser.emplace<RequestParser>(), head_max);
    } else {
      prepare(parser.emplace<ResponseParser>(), head_max);
    }
  }

  std::size_t put(std::string_view bytes, boost::beast::error_code& failure) {
    const boost::asio::const_buffer buffer(bytes.data(), bytes.size());
    if (auto* const request = std::get_if<RequestParser>(&parser)) return request->put(buffer, failure);
    return std::get<ResponseParser>(parser).put(buffer, failure);
  }

  bool done() const {
    if (const auto* const request = std::get_if<RequestParser>(&parser)) return request->is_header_done();
    return std::get<ResponseParser>(parser).is_header_done();
  }
};

HeadParser::HeadParser(Kind kind, std::size_t head_max) : state_(std::make_unique<State>(kind)), head_max_(head_max) {}
HeadParser::~HeadParser() = default;

HeadParser::Status HeadParser::refuse(int status, std::string id, std::string message) {
  const Category category = status == 431 ? Category::kResourceExhausted : Category::kInvalidArgument;
  refusal_ = {status, {category, std::move(id), std::move(message), {}, {}}};
  return Status::kRefused;
}

HeadParser::Status HeadParser::feed(std::string_view bytes, std::size_t& used) {
  used = 0;
  if (bytes.empty()) return Status::kNeedMore;
  if (taken_ == 0 && std::holds_alternative<std::monostate>(state_->parser)) state_->start(head_max_);
  boost::beast::error_code failure;
  try {
    used = state_->put(bytes, failure);
  } catch (const std::exception&) {
    return refuse(400, "http.malformed", "The message head cannot be read as HTTP/1.1.");
  }
  // Beast unfolds what is folded, which RFC 9112 section 5.2 lets a server refuse: others see a field of its own there.
  if (holds_fold(last_, bytes.substr(0, used))) {
    return refuse(400, "http.malformed", "A header field must stand on one line; write a folded value on one.");
  }
  if (used > 0) last_ = bytes[used - 1];
  taken_ += used;
  const std::size_t waiting = bytes.size() - used;
  if (failure == http::error::header_limit || taken_ > head_max_ || (failure == http::error::need_more && taken_ + waiting >= head_max_)) {
    return refuse(431, "http.header_too_large",
                  "The request line and header fields together are too long; send long values in the body. Limit in bytes: " +
                      std::to_string(head_max_));
  }
  if (failure == http::error::need_more) return Status::kNeedMore;
  if (failure == http::error::bad_version) return refuse(505, "http.version", "This server speaks HTTP/1.1 and HTTP/1.0 only.");
  if (failure) return refuse(400, "http.malformed", "The message head cannot be read as HTTP/1.1: " + failure.message());
  return state_->done() ? Status::kDone : Status::kNeedMore;
}

MessageHead HeadParser::take() {
  MessageHead head;
  if (auto* const request = std::get_if<RequestParser>(&state_->parser)) {
    head = head_of(*request);
  } else if (auto* const response = std::get_if<ResponseParser>(&state_->parser)) {
    head = head_of(*response);
  }
  state_->parser.emplace<std::monostate>();
  taken_ = 0;
  last_ = 0;
  return head;
}

}  // namespace trainyard::net::internal
