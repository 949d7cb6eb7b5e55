#include "net/internal/exchange.h"

#include <gtest/gtest.h>

#include "net/internal/response_head.h"
#include "net/internal/socket.h"

namespace trainyard::net::internal {
namespace {

class CountingWaker final : public Waker {
 public:
  void wake() override { ++count; }
  int count = 0;
};

using CountingWakerPtr = std::shared_ptr<CountingWaker>;  // shared: as WakerPtr

class ExchangeTest : public ::testing::Test {
 protected:
  CountingWakerPtr waker = std::make_shared<CountingWaker>();
  ExchangePtr exchange = std::make_shared<Exchange>(waker, "id");
};

TEST_F(ExchangeTest, answer_before_the_connection_looks_needs_no_wake) {
  exchange->respond(text_response(200, "a"));
  EXPECT_EQ(waker->count, 0);
  EXPECT_EQ(exchange->take()->response.body, "a");
}

TEST_F(ExchangeTest, answer_after_the_connection_looked_wakes_it_once) {
  EXPECT_FALSE(exchange->take());
  exchange->respond(text_response(200, "a"));
  exchange->respond(text_response(200, "b"));
  EXPECT_EQ(waker->count, 1);
  EXPECT_EQ(exchange->take()->response.body, "a");
}

TEST_F(ExchangeTest, dropped_responder_answers_500_only_if_nobody_did) {
  { const ExchangeResponder responder(exchange); }
  EXPECT_EQ(exchange->take()->response.status, 500);
  const auto second = std::make_shared<Exchange>(waker, "id");
  { ExchangeResponder(second).respond(text_response(201, "")); }
  EXPECT_EQ(second->take()->response.status, 201);
}

TEST_F(ExchangeTest, late_answer_after_abandon_is_dropped_and_a_late_stream_is_closed) {
  exchange->abandon();
  exchange->respond(text_response(200, "late"));
  EXPECT_FALSE(exchange->take());
  bool told = false;
  const OutgoingStreamPtr stream = exchange->stream({});
  EXPECT_FALSE(stream->open());
  EXPECT_FALSE(stream->write("x"));
  stream->on_closed([&told] { told = true; });
  EXPECT_TRUE(told);
}

TEST(OutgoingStream, bytes_are_taken_in_order_and_the_end_follows_them) {
  const auto waker = std::make_shared<CountingWaker>();
  OutgoingStream stream(waker);
  std::string bytes;
  EXPECT_TRUE(stream.write("a"));
  EXPECT_TRUE(stream.write("b"));
  EXPECT_EQ(waker->count, 0);
  EXPECT_EQ(stream.take(bytes), OutgoingStream::Take::kBytes);
  EXPECT_EQ(bytes, "ab");
  EXPECT_EQ(stream.take(bytes), OutgoingStream::Take::kNothing);
  EXPECT_TRUE(stream.write("c"));
  EXPECT_TRUE(stream.write("d"));
  EXPECT_EQ(waker->count, 1);
  stream.close();
  EXPECT_FALSE(stream.write("e"));
  EXPECT_EQ(stream.take(bytes), OutgoingStream::Take::kBytes);
  EXPECT_EQ(bytes, "cd");
  EXPECT_EQ(stream.take(bytes), OutgoingStream::Take::kEnd);
}

TEST(OutgoingStream, more_than_one_mebibyte_waiting_refuses_for_good_and_cuts) {
  OutgoingStream stream(std::make_shared<CountingWaker>());
  std::string bytes;
  const std::string piece(65'536, 'x');
  int taken = 0;
  while (stream.write(piece)) ASSERT_LT(++taken, 100);
  EXPECT_EQ(taken, 17);
  EXPECT_FALSE(stream.open());
  EXPECT_EQ(stream.take(bytes), OutgoingStream::Take::kBytes);
  EXPECT_FALSE(stream.write("x"));
  EXPECT_EQ(stream.take(bytes), OutgoingStream::Take::kCut);
}

TEST(OutgoingStream, producer_that_waits_for_room_is_called_once_what_it_wrote_was_sent) {
  OutgoingStream stream(std::make_shared<CountingWaker>());
  int calls = 0;
  const auto on_room = [&calls] { ++calls; };
  EXPECT_TRUE(stream.has_room(on_room));
  ASSERT_TRUE(stream.write(std::string(OutgoingStream::kRoom + 1, 'x')));
  EXPECT_FALSE(stream.has_room(on_room));
  std::string bytes;
  EXPECT_EQ(stream.take(bytes), OutgoingStream::Take::kBytes);
  EXPECT_EQ(calls, 0) << "it is still being sent";
  EXPECT_EQ(stream.take(bytes), OutgoingStream::Take::kNothing);
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(stream.has_room(on_room));
  ASSERT_TRUE(stream.write(std::string(OutgoingStream::kRoom + 1, 'x')));
  EXPECT_FALSE(stream.has_room(on_room));
  stream.end();
  EXPECT_EQ(calls, 2) << "the client is gone";
  EXPECT_TRUE(stream.has_room(on_room));
}

TEST(OutgoingStream, cut_ends_the_connection_after_what_waits) {
  OutgoingStream stream(std::make_shared<CountingWaker>());
  ASSERT_TRUE(stream.write("half"));
  stream.cut();
  EXPECT_FALSE(stream.open());
  std::string bytes;
  EXPECT_EQ(stream.take(bytes), OutgoingStream::Take::kBytes);
  EXPECT_EQ(stream.take(bytes), OutgoingStream::Take::kCut);
}

TEST(OutgoingStream, end_runs_the_callbacks_once) {
  OutgoingStream stream(std::make_shared<CountingWaker>());
  int calls = 0;
  stream.on_closed([&calls] { ++calls; });
  stream.end();
  stream.end();
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(stream.open());
}

TEST(ResponseHead, handler_cannot_break_the_framing) {
  Response response = text_response(200, "body");
  response.headers.add("X-Evil", "a\r\nSet-Cookie: x=y\r\n\r\n<html>");
  response.headers.add("Content-Length", "1");
  response.headers.add("Transfer-Encoding", "chunked");
  response.headers.add("Connection", "upgrade");
  const std::string head = response_head(response, {.request_id = "r-1", .date = "today"});
  EXPECT_NE(head.find("X-Evil: aSet-Cookie: x=y<html>\r\n"), std::string::npos);
  EXPECT_NE(head.find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_NE(head.find("x-request-id: r-1\r\n"), std::string::npos);
  EXPECT_NE(head.find("X-Content-Type-Options: nosniff\r\n"), std::string::npos);
  EXPECT_EQ(head.find("Transfer-Encoding"), std::string::npos);
  EXPECT_EQ(head.find("upgrade"), std::string::npos);
  EXPECT_EQ(head.find("\r\n\r\n"), head.size() - 4);
}

TEST(ResponseHead, page_gets_the_strict_policies) {
  const std::string head = response_head(text_response(200, "", "text/html; charset=utf-8"), {});
  EXPECT_NE(head.find("Content-Security-Policy: default-src 'self'"), std::string::npos);
  EXPECT_NE(head.find("X-Frame-Options: DENY"), std::string::npos);
}

TEST(ResponseHead, answer_without_content_states_no_length) {
  EXPECT_EQ(response_head({204, {}, ""}, {}).find("Content-Length"), std::string::npos);
  EXPECT_EQ(http_date(784'111'777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(Endpoint, accepted_forms) {
  const std::pair<const char*, const char*> cases[] = {
      {"http://127.0.0.1:8470", "127.0.0.1:8470"},
      {"127.0.0.1:8470/", "127.0.0.1:8470"},
      {"http://node-1", "node-1:80"},
      {"http://[::1]:8470", "[::1]:8470"},
      {"[::1]", "[::1]:80"},
      {"https://x", "x:443"},
      {"https://127.0.0.1:8470/", "127.0.0.1:8470"},
  };
  for (const auto& [url, authority] : cases) {
    const Result<internal::Endpoint> endpoint = parse_endpoint(url);
    ASSERT_TRUE(endpoint.ok()) << url;
    EXPECT_EQ(endpoint->authority(), authority);
    EXPECT_EQ(endpoint->tls, std::string_view(url).starts_with("https"));
  }
}

TEST(Endpoint, other_forms_are_refused) {
  for (const char* url : {"", "ftp://x:1", "https://", "https://x:1/path", "http://https://x", "http://", "http://x:0", "http://x:65536",
                          "http://x:1/path", "http://u@x:1", "x:y", "[::1:1", "x y", "[::1]x:1", "http://x:"}) {
    const Result<internal::Endpoint> endpoint = parse_endpoint(url);
    ASSERT_FALSE(endpoint.ok()) << url;
    EXPECT_EQ(endpoint.error().id, "net.url");
  }
}

}  // namespace
}  // namespace trainyard::net::internal
