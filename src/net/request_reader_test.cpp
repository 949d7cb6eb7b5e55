#include "net/internal/request_reader.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "net/testing/fake_responder.h"

namespace trainyard::net::internal {
namespace {

using Step = RequestReader::Step;

class RequestReaderTest : public ::testing::Test {
 protected:
  RequestReaderTest() {
    for (const char* method : {"GET", "POST"}) router.add({method, "/x", Permission::kOpen, {}, 1'000'000});
    router.add({"POST", "/small", Permission::kOpen, {}, 10});
    router.add({"POST", "/closed", Permission::kAdmin, {}, 1'000'000});
  }

  /// Feeds `text` in pieces until the reader wants no more.
  Step feed(std::string_view text, std::size_t piece = std::string_view::npos) {
    std::string input;
    Step step = Step::kNeedMore;
    while (step == Step::kNeedMore && !text.empty()) {
      const std::string_view next = text.substr(0, piece);
      text.remove_prefix(next.size());
      input += next;
      std::size_t used = 0;
      step = reader.feed(input, used);
      input.erase(0, used);
    }
    rest = input + std::string(text);
    return step;
  }
  int refused_status(std::string_view text, std::size_t piece = std::string_view::npos) {
    RequestReader fresh(rules, router, ids);
    std::size_t used = 0;
    std::string input;
    while (!text.empty()) {
      input += text.substr(0, piece);
      text.remove_prefix(std::min(piece, text.size()));
      const Step step = fresh.feed(input, used);
      input.erase(0, used);
      if (step == Step::kRefused) return std::move(fresh).refusal().status;
      if (step == Step::kReady) return 200;
    }
    return 0;
  }

  net::testing::FakeAuthorizer authorizer{{"reader", "viewer"}};
  Router router{authorizer};
  RequestRules rules;
  RequestIds ids;
  RequestReader reader{rules, router, ids};
  std::string rest;
};

TEST_F(RequestReaderTest, request_in_pieces_of_any_size_reads_the_same) {
  const std::string text = "POST /x?a=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhelloGET /x HTTP/1.1\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    ASSERT_EQ(feed(text, piece), Step::kReady) << piece;
    const Request request = reader.take();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.path, "/x");
    EXPECT_EQ(request.query_value("a"), "1");
    EXPECT_EQ(request.body, "hello");
    EXPECT_FALSE(request.request_id.empty());
    EXPECT_EQ(rest, "GET /x HTTP/1.1\r\n");
    EXPECT_TRUE(reader.keep_alive());
  }
}

TEST_F(RequestReaderTest, chunked_body_is_joined_and_trailers_are_dropped) {
  ASSERT_EQ(
      feed("POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\n\r\n", 1),
      Step::kReady);
  const Request request = reader.take();
  EXPECT_EQ(request.body, "abc");
  EXPECT_FALSE(request.headers.get("Authorization"));
}

TEST_F(RequestReaderTest, ambiguous_framing_is_refused) {
  const std::string head = "POST /x HTTP/1.1\r\nHost: localhost\r\n";
  const std::pair<const char*, int> cases[] = {
      {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400},
      {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400},
      {"Content-Length: 3\r\nContent-Length: 3\r\n", 400},
      {"Content-Length: 3\r\nContent-Length: 4\r\n", 400},
      {"Content-Length: 3, 3\r\n", 400},
      {"Content-Length: +3\r\n", 400},
      {"Content-Length: -3\r\n", 400},
      {"Content-Length: 0x3\r\n", 400},
      {"Content-Length:\r\n", 400},
      {"Content-Length: 99999999999999999999999\r\n", 400},
      {"Content-Length : 3\r\n", 400},
      {"Transfer-Encoding: xchunked\r\n", 501},
      {"Transfer-Encoding: chunked, identity\r\n", 501},
      {"Transfer-Encoding: gzip, chunked\r\n", 501},
      {"Transfer-Encoding: identity\r\n", 501},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
      {"Transfer-Encoding: \x0b"
       "chunked\r\n",
       400},
      {"Expect: miracle\r\n", 417},
      {"Host: other\r\n", 400},
  };
  for (const auto& [fields, status] : cases) {
    EXPECT_EQ(refused_status(head + fields + "\r\nabc"), status) << fields;
    EXPECT_EQ(refused_status(head + fields + "\r\nabc", 1), status) << fields;
  }
  EXPECT_EQ(refused_status("POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
}

TEST_F(RequestReaderTest, garbage_is_refused_with_a_fitting_status) {
  EXPECT_EQ(refused_status("\x16\x03\x01\x02"), 400);
  EXPECT_EQ(refused_status("GET /x HTTP/2.0\r\n\r\n"), 505);
  EXPECT_EQ(refused_status("GET /x\r\n\r\n"), 400);
  EXPECT_EQ(refused_status("GET /x HTTP/1.1\nHost: localhost\n\n"), 505);
  EXPECT_EQ(refused_status("GET /x HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refused_status("GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
  EXPECT_EQ(refused_status("GET /a/%2e%2e/x HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
  EXPECT_EQ(refused_status("GET /x HTTP/1.1\r\nHost: localhost\r\nBad Name: 1\r\n\r\n"), 400);
}

/// Heads that one parser reads in one way and another in another way are not guessed at.
TEST_F(RequestReaderTest, heads_that_can_be_read_in_two_ways_are_refused) {
  using namespace std::string_literals;
  const std::string line = "POST /x HTTP/1.1\r\n";
  const std::string host = "Host: localhost\r\n";
  const std::pair<std::string, const char*> cases[] = {
      {line + host + "X: a\r\n b\r\n\r\n", "a folded value"},
      {line + host + "Content-Length: 3\r\n \r\n\r\nabc", "a folded length"},
      {line + host + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "a folded coding"},
      {line + " X: a\r\n" + host + "\r\n", "a blank before the first field"},
      {line + "Host: localhost\nContent-Length: 3\r\n\r\nabc", "a bare line feed"},
      {line + host + "X: a\rContent-Length: 3\r\n\r\nabc", "a bare carriage return"},
      {line + host + "X: a\0b\r\n\r\n"s, "a NUL in a value"},
      {line + host + "X\0: a\r\n\r\n"s, "a NUL in a name"},
      {"POST /x\0 HTTP/1.1\r\n"s + host + "\r\n", "a NUL in the target"},
      {"POST /x%00 HTTP/1.1\r\n" + host + "\r\n", "an encoded NUL in the target"},
      {"POST  /x HTTP/1.1\r\n" + host + "\r\n", "two blanks"},
      {"POST\t/x HTTP/1.1\r\n" + host + "\r\n", "a tabulator"},
      {"POST /x HTTP/1.1 \r\n" + host + "\r\n", "a blank behind the version"},
      {line + host + ": a\r\n\r\n", "a field without a name"},
      {line + host + "X a\r\n\r\n", "a field without a colon"},
      {line + host + "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", "two tokens"},
      {"POST http://localhost@evil.example/x HTTP/1.1\r\n" + host + "\r\n", "a target that names a user"},
      {"POST http://evil.example/x HTTP/1.1\r\n" + host + "\r\n", "a target on another host"},
      {"POST //evil.example/x HTTP/1.1\r\n" + host + "X: " + std::string(17'000, 'a') + "\r\n\r\n", "a long head"},
      {"POST ftp://localhost/x HTTP/1.1\r\n" + host + "\r\n", "a target of another scheme"},
      {"POST localhost:80 HTTP/1.1\r\n" + host + "\r\n", "an authority as target"},
      {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "a star as target"},
  };
  for (const auto& [text, what] : cases) {
    for (const std::size_t piece : {std::string::npos, std::size_t{1}, std::size_t{3}}) {
      const int status = refused_status(text, piece);
      EXPECT_TRUE(status == 400 || status == 403 || status == 431 || status == 505) << what << ": " << status;
    }
  }
}

TEST_F(RequestReaderTest, target_with_the_name_of_this_server_is_taken) {
  for (const char* scheme : {"http", "https"}) {
    ASSERT_EQ(feed(std::string("GET ") + scheme + "://localhost:8470/x?a=1 HTTP/1.1\r\nHost: evil.example\r\n\r\n"), Step::kReady);
    const Request request = reader.take();
    EXPECT_EQ(request.path, "/x");
    EXPECT_EQ(request.headers.get("Host"), "localhost:8470") << "the target goes before the field";
  }
}

TEST_F(RequestReaderTest, head_beyond_the_limit_is_431_however_it_is_cut) {
  const std::string start = "GET /x HTTP/1.1\r\nHost: localhost\r\n";
  const std::string one_field = start + "X: " + std::string(20'000, 'a') + "\r\n\r\n";
  const std::string long_target = "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::string many_fields = start;
  for (int i = 0; i < 2'000; ++i) many_fields += "X: 12345678\r\n";
  many_fields += "\r\n";
  for (const std::string& text : {one_field, long_target, many_fields}) {
    EXPECT_EQ(refused_status(text), 431);
    EXPECT_EQ(refused_status(text, 1000), 431);
    EXPECT_EQ(refused_status(text.substr(0, 17'000), 100), 431);
  }
  EXPECT_EQ(refused_status(start + "X: " + std::string(16'000, 'a') + "\r\n\r\n", 777), 200);
}

TEST_F(RequestReaderTest, foreign_host_and_foreign_page_are_refused) {
  EXPECT_EQ(refused_status("GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 403);
  EXPECT_EQ(refused_status("GET http://evil.example/x HTTP/1.1\r\nHost: localhost\r\n\r\n"), 403);
  EXPECT_EQ(refused_status("GET http://localhost/x HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200);
  EXPECT_EQ(refused_status("POST /x HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n"), 403);
  EXPECT_EQ(refused_status("POST /x HTTP/1.1\r\nHost: localhost:1\r\nOrigin: http://localhost:1\r\n\r\n"), 200);
  EXPECT_EQ(refused_status("GET /x HTTP/1.0\r\n\r\n"), 200);
}

TEST_F(RequestReaderTest, too_large_body_is_refused_before_it_is_read) {
  EXPECT_EQ(refused_status("POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n"), 413);
  EXPECT_EQ(refused_status("POST /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nB\r\n"), 413);
  EXPECT_EQ(refused_status("POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n0123456789"), 200);
}

TEST_F(RequestReaderTest, large_body_without_permission_is_refused_before_it_is_read) {
  EXPECT_EQ(refused_status("POST /closed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"), 403);
  EXPECT_EQ(refused_status("POST /closed HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"), 403);
  EXPECT_EQ(refused_status("POST /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"), 404);
}

TEST_F(RequestReaderTest, client_that_expects_continue_is_asked_for_its_body_once) {
  ASSERT_EQ(feed("POST /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"), Step::kContinue);
  ASSERT_EQ(feed("ab"), Step::kNeedMore);
  ASSERT_EQ(feed("c"), Step::kReady);
  EXPECT_EQ(reader.take().body, "abc");
  EXPECT_EQ(refused_status("POST /closed HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"), 403);
}

TEST_F(RequestReaderTest, request_id_of_the_client_is_kept_if_harmless) {
  ASSERT_EQ(feed("GET /x HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: abc-1.2_3\r\n\r\n"), Step::kReady);
  EXPECT_EQ(reader.take().request_id, "abc-1.2_3");
  ASSERT_EQ(feed("GET /x HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\"b\r\n\r\n"), Step::kReady);
  EXPECT_EQ(reader.take().request_id.find('"'), std::string::npos);
}

TEST_F(RequestReaderTest, connection_field_decides_about_keep_alive) {
  const std::pair<const char*, bool> cases[] = {
      {"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: foo, Close\r\n\r\n", false},
      {"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", true},
      {"GET /x HTTP/1.0\r\n\r\n", false},
      {"GET /x HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
  };
  for (const auto& [text, keep] : cases) {
    ASSERT_EQ(feed(text), Step::kReady) << text;
    reader.take();
    EXPECT_EQ(reader.keep_alive(), keep) << text;
  }
}

/// Random damage to good requests: the reader must never crash, hang or take more than it was given.
TEST_F(RequestReaderTest, damaged_requests_are_read_or_refused) {
  const std::string seeds[] = {
      "GET /x?a=b HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
      "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
      "POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n",
  };
  SeededRng rng(20'260'101);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = seeds[rng.below(3)];
    for (std::uint64_t damage = rng.below(4); damage > 0; --damage) {
      const std::size_t at = rng.below(text.size());
      switch (rng.below(4)) {
        case 0:
          text[at] = static_cast<char>(rng.below(256));
          break;
        case 1:
          text.erase(at, rng.below(5) + 1);
          break;
        case 2:
          text.insert(at, text.substr(rng.below(text.size()), rng.below(20)));
          break;
        default:
          text.insert(at, 1, "\r\n :;,%0\0"[rng.below(9)]);
          break;
      }
      if (text.empty()) text = "G";
    }
    RequestReader fresh(rules, router, ids);
    std::string input;
    std::size_t offset = 0;
    for (Step step = Step::kNeedMore; step == Step::kNeedMore && offset < text.size();) {
      const std::size_t piece = rng.below(16) + 1;
      input += text.substr(offset, piece);
      offset += piece;
      std::size_t used = 0;
      step = fresh.feed(input, used);
      ASSERT_LE(used, input.size()) << "round " << round;
      input.erase(0, used);
      if (step == Step::kReady) {
        ASSERT_LE(fresh.take().body.size(), text.size());
      }
    }
  }
}

}  // namespace
}  // namespace trainyard::net::internal
