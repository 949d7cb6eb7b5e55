#include "base/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/rng.h"

namespace trainyard {
namespace {

using Bytes = std::vector<std::byte>;

Bytes gzipped(const Bytes& plain) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes packed(deflateBound(&stream, plain.size()));
  Bytes source = plain;
  stream.next_in = reinterpret_cast<Bytef*>(source.data());
  stream.avail_in = static_cast<uInt>(source.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// All that comes out of `packed` when it is given in pieces of `in` bytes and taken in pieces of `out`; stops where it is damaged.
Bytes inflated(const Bytes& packed, std::size_t in, std::size_t out, bool& sound, bool& complete) {
  GzipInflater inflater;
  Bytes plain;
  std::size_t at = 0;
  sound = true;
  Bytes buffer(out);
  while (sound && at < packed.size()) {
    std::span<const std::byte> input = std::span(packed).subspan(at, std::min(in, packed.size() - at));
    const std::size_t given = input.size();
    std::span<std::byte> output(buffer);
    sound = inflater.step(input, output);
    at += given - input.size();
    plain.insert(plain.end(), buffer.begin(), buffer.end() - static_cast<std::ptrdiff_t>(output.size()));
  }
  complete = inflater.may_end();
  return plain;
}

Bytes some_bytes(std::size_t size) {
  SeededRng rng(size);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.below(7));
  return bytes;
}

TEST(GzipInflater, members_one_after_another_come_out_whole_however_they_are_cut) {
  Bytes plain = some_bytes(10'000);
  Bytes packed = gzipped(plain);
  const Bytes second = gzipped(some_bytes(3));
  packed.insert(packed.end(), second.begin(), second.end());
  const Bytes tail = some_bytes(3);
  plain.insert(plain.end(), tail.begin(), tail.end());
  ASSERT_TRUE(has_gzip_magic(packed));
  for (const std::size_t in : {std::size_t{1}, std::size_t{7}, packed.size()}) {
    for (const std::size_t out : {std::size_t{1}, std::size_t{64}, std::size_t{20'000}}) {
      bool sound = false;
      bool complete = false;
      EXPECT_EQ(inflated(packed, in, out, sound, complete), plain) << in << " " << out;
      EXPECT_TRUE(sound && complete) << in << " " << out;
    }
  }
}

TEST(GzipInflater, cut_data_may_not_end_and_damaged_data_is_noticed) {
  Bytes packed = gzipped(some_bytes(1000));
  bool sound = false;
  bool complete = true;
  inflated(Bytes(packed.begin(), packed.end() - 5), 100, 100, sound, complete);
  EXPECT_TRUE(sound);
  EXPECT_FALSE(complete);
  packed[packed.size() - 6] ^= std::byte{0xff};
  inflated(packed, 100, 100, sound, complete);
  EXPECT_FALSE(sound);
}

TEST(GzipInflater, magic_needs_two_bytes) {
  const Bytes magic{std::byte{0x1f}, std::byte{0x8b}};
  EXPECT_TRUE(has_gzip_magic(magic));
  EXPECT_FALSE(has_gzip_magic(std::span(magic).first(1)));
  EXPECT_FALSE(has_gzip_magic(some_bytes(10)));
}

}  // namespace
}  // namespace trainyard
