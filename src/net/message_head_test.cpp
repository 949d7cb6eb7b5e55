#include "net/internal/message_head.h"

#include <gtest/gtest.h>

namespace trainyard::net::internal {
namespace {

MessageHead head_with(std::initializer_list<std::pair<std::string, std::string>> fields, bool http11 = true) {
  MessageHead head;
  head.http11 = http11;
  for (const auto& [name, value] : fields) head.headers.add(name, value);
  return head;
}

int refused_status(const MessageHead& head) {
  const FramingResult result = framing_of(head);
  return result.refusal ? result.refusal->status : 0;
}

// The parser below refuses some of these itself; the rule must not depend on it.
TEST(Framing, ambiguous_lengths_are_refused) {
  EXPECT_EQ(refused_status(head_with({{"Content-Length", "3"}, {"Transfer-Encoding", "chunked"}})), 400);
  EXPECT_EQ(refused_status(head_with({{"transfer-encoding", "chunked"}, {"content-length", "3"}})), 400);
  EXPECT_EQ(refused_status(head_with({{"Content-Length", "3"}, {"Content-Length", "3"}})), 400);
  EXPECT_EQ(refused_status(head_with({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}})), 501);
  EXPECT_EQ(refused_status(head_with({{"Transfer-Encoding", "chunked"}}, false)), 400);
  for (const char* length : {"", "3, 3", "+3", "-3", "0x3", " 3", "3 ", "9999999999999999999"}) {
    EXPECT_EQ(refused_status(head_with({{"Content-Length", length}})), 400) << length;
  }
}

TEST(Framing, plain_messages_are_read) {
  EXPECT_TRUE(framing_of(head_with({{"Transfer-Encoding", "Chunked"}})).framing.chunked);
  EXPECT_EQ(framing_of(head_with({{"Content-Length", "0042"}})).framing.length, 42u);
  EXPECT_FALSE(framing_of(head_with({})).framing.length_is_given);
}

}  // namespace
}  // namespace trainyard::net::internal
