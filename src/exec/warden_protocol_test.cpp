#include "exec/warden_protocol.h"

#include <gtest/gtest.h>

namespace trainyard::exec {
namespace {

TEST(FrameDecoder, frames_are_cut_from_a_stream_that_comes_byte_by_byte) {
  const std::string stream = encode_frame(Document::object({{"a", 1}})) + encode_frame(Document::object({{"b", "x"}}));
  FrameDecoder decoder;
  std::vector<std::string> seen;
  for (const char byte : stream) {
    decoder.feed(std::string_view(&byte, 1));
    const Result<std::optional<Document>> message = decoder.next();
    ASSERT_TRUE(message.ok());
    if (message->has_value()) seen.push_back(to_json(**message));
  }
  EXPECT_EQ(seen, (std::vector<std::string>{R"({"a":1})", R"({"b":"x"})"}));
}

TEST(FrameDecoder, several_frames_in_one_piece_come_one_by_one) {
  FrameDecoder decoder;
  std::string stream;
  for (int number = 0; number < 100; ++number) stream += encode_frame(Document::object({{"n", number}}));
  decoder.feed(stream);
  for (int number = 0; number < 100; ++number) EXPECT_EQ((**decoder.next())["n"].as_int().value(), number);
  EXPECT_FALSE(decoder.next()->has_value());
}

TEST(FrameDecoder, too_long_frame_and_text_that_is_no_json_are_errors) {
  FrameDecoder decoder;
  decoder.feed(std::string("\xff\xff\xff\xff", 4));
  EXPECT_EQ(decoder.next().error().id, "warden.frame");
  FrameDecoder other;
  other.feed(std::string("\x03\x00\x00\x00{x}", 7));
  EXPECT_EQ(other.next().error().id, "warden.frame");
}

TEST(WardenProtocol, rank_and_growth_survive_the_wire) {
  WardenRank rank{.stopping = true, .checkpoint_number = 3, .log_size = 1'000, .events_size = 20};
  rank.observation.rank = {{JobId(1), AttemptNumber(2)}, 3};
  const WardenRank read = warden_rank_from(to_document(rank)).value();
  EXPECT_EQ(to_json(to_document(read)), to_json(to_document(rank)));
  const std::vector<RankGrowth> growths =
      rank_growths_from(grown_push({{.rank = rank.observation.rank, .log_size = 5, .events_size = 6}})).value();
  ASSERT_EQ(growths.size(), 1u);
  EXPECT_EQ(growths[0].log_size, 5u);
  EXPECT_EQ(growths[0].events_size, 6u);
}

}  // namespace
}  // namespace trainyard::exec
