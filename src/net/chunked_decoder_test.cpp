#include "net/internal/chunked_decoder.h"

#include <gtest/gtest.h>

namespace trainyard::net::internal {
namespace {

struct Decoded {
  ChunkedDecoder::Status status = ChunkedDecoder::Status::kNeedMore;
  std::string body;
  std::size_t used = 0;
};

Decoded decode(std::string_view text, std::size_t piece = std::string_view::npos, std::uint64_t body_max = 1'000'000) {
  ChunkedDecoder decoder(body_max);
  Decoded result;
  while (result.used < text.size() && result.status == ChunkedDecoder::Status::kNeedMore) {
    std::size_t used = 0;
    result.status = decoder.feed(text.substr(result.used, piece), used, result.body);
    result.used += used;
  }
  return result;
}

TEST(ChunkedDecoder, pieces_of_any_size_give_the_same_body) {
  const std::string text = "4\r\nWiki\r\n5;name=\"v\"\r\npedia\r\nE \r\n in\r\n\r\nchunks.\r\n0\r\nTrailer: x\r\n\r\nNEXT";
  for (std::size_t piece = 1; piece < text.size(); ++piece) {
    const Decoded decoded = decode(text, piece);
    ASSERT_EQ(decoded.status, ChunkedDecoder::Status::kDone) << piece;
    EXPECT_EQ(decoded.body, "Wikipedia in\r\n\r\nchunks.");
    EXPECT_EQ(text.substr(decoded.used), "NEXT");
  }
}

TEST(ChunkedDecoder, last_chunk_in_single_bytes_is_done) { EXPECT_EQ(decode("0\r\n\r\n", 1).status, ChunkedDecoder::Status::kDone); }

TEST(ChunkedDecoder, malformed_framing_is_refused) {
  for (const char* text : {"\r\n", "g\r\n", "-1\r\n", "0x1\r\na", "1\nab", "1\r\nab\r\n", "1\r\na\n0\r\n\r\n", "1\r\r\n",
                           "00000000000000001\r\n", "FFFFFFFFFFFFFFFFF\r\n", "1;\x01\r\n", "0\r\nA\nB\r\n\r\n", "0\r\n\n", " 1\r\na"}) {
    EXPECT_EQ(decode(text).status, ChunkedDecoder::Status::kMalformed) << text;
  }
}

TEST(ChunkedDecoder, body_beyond_the_limit_is_refused_before_its_bytes_come) {
  EXPECT_EQ(decode("5\r\n", 1, 4).status, ChunkedDecoder::Status::kTooLarge);
  EXPECT_EQ(decode("FFFFFFFFFFFFFFFF\r\n").status, ChunkedDecoder::Status::kTooLarge);
  EXPECT_EQ(decode("2\r\nab\r\n3\r\nabc", 1, 4).status, ChunkedDecoder::Status::kTooLarge);
  EXPECT_EQ(decode("2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", 1, 4).status, ChunkedDecoder::Status::kDone);
}

TEST(ChunkedDecoder, endless_extensions_and_trailers_are_refused) {
  EXPECT_EQ(decode("1;" + std::string(100'000, 'x')).status, ChunkedDecoder::Status::kMalformed);
  std::string trailers = "0\r\n";
  for (int i = 0; i < 10'000; ++i) trailers += "X: y\r\n";
  EXPECT_EQ(decode(trailers).status, ChunkedDecoder::Status::kMalformed);
}

TEST(ChunkedDecoder, storm_of_tiny_chunks_is_decoded) {
  std::string text;
  for (int i = 0; i < 500'000; ++i) text += "1\r\nx\r\n";
  text += "0\r\n\r\n";
  const Decoded decoded = decode(text, 65'536);
  EXPECT_EQ(decoded.status, ChunkedDecoder::Status::kDone);
  EXPECT_EQ(decoded.body.size(), 500'000u);
}

}  // namespace
}  // namespace trainyard::net::internal
