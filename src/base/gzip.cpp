#include "base/gzip.h"

#include <zlib.h>

#include "base/check.h"

namespace trainyard {
namespace {

constexpr int kGzipOnly = 15 + 16;

Bytef* zlib_bytes(const std::byte* bytes) { return const_cast<Bytef*>(static_cast<const Bytef*>(static_cast<const void*>(bytes))); }

}  // namespace

bool has_gzip_magic(std::span<const std::byte> data) {
  return data.size() >= 2 && data[0] == std::byte{0x1f} && data[1] == std::byte{0x8b};
}

struct GzipInflater::State {
  z_stream stream{};
  bool member_done = false;
};

GzipInflater::GzipInflater() : state_(std::make_unique<State>()) {
  CHECK(inflateInit2(&state_->stream, kGzipOnly) == Z_OK, "zlib is not available");
}

GzipInflater::~GzipInflater() { inflateEnd(&state_->stream); }

bool GzipInflater::step(std::span<const std::byte>& input, std::span<std::byte>& output) {
  z_stream& stream = state_->stream;
  if (state_->member_done && inflateReset(&stream) != Z_OK) return false;
  state_->member_done = false;
  stream.next_in = zlib_bytes(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = zlib_bytes(output.data());
  stream.avail_out = static_cast<uInt>(output.size());
  const int status = inflate(&stream, Z_NO_FLUSH);
  input = input.last(stream.avail_in);
  output = output.last(stream.avail_out);
  state_->member_done = status == Z_STREAM_END;
  return status == Z_STREAM_END || status == Z_OK || status == Z_BUF_ERROR;
}

bool GzipInflater::may_end() const { return state_->member_done; }

}  // namespace trainyard
