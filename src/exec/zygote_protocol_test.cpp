#include "exec/zygote_protocol.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace trainyard::exec {
namespace {

const ZygoteRequest kRequest{.parent = 4711,
                             .data_max = std::int64_t{3} << 30,
                             .nice = -5,
                             .workdir = "/data/work/17/1",
                             .environment = {{"EMPTY", ""}, {"PATH", "/bin:/usr/bin"}, {"TEXT", "a=b\nc d"}}};

struct Sockets {
  Sockets() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    near.reset(ends[0]);
    far.reset(ends[1]);
  }
  UniqueFd near;
  UniqueFd far;
};

TEST(ZygoteProtocol, request_survives_the_way) {
  const Result<ZygoteRequest> read = parse_zygote_request(encode_zygote_request(kRequest));
  ASSERT_TRUE(read.ok()) << read.error().describe();
  EXPECT_EQ(read->parent, kRequest.parent);
  EXPECT_EQ(read->data_max, kRequest.data_max);
  EXPECT_EQ(read->nice, kRequest.nice);
  EXPECT_EQ(read->workdir, kRequest.workdir);
  EXPECT_EQ(read->environment, kRequest.environment);
}

TEST(ZygoteProtocol, damaged_request_is_refused) {
  const std::string whole = encode_zygote_request(kRequest);
  for (std::size_t length = 0; length + 1 < whole.size(); ++length) {
    const Result<ZygoteRequest> read = parse_zygote_request(std::string_view(whole).substr(0, length));
    // A cut between two variables cannot be told; packets come whole or not at all.
    EXPECT_TRUE(!read.ok() || read->environment.size() < kRequest.environment.size()) << length;
  }
  std::string other_version = whole;
  other_version.at(other_version.find('1')) = '2';
  EXPECT_EQ(parse_zygote_request(other_version).error().id, "zygote.request");
  EXPECT_FALSE(parse_zygote_request(whole + "NO_VALUE" + '\0').ok());
  EXPECT_FALSE(parse_zygote_request("").ok());
}

TEST(ZygoteProtocol, report_of_a_rank_survives_the_way) {
  const std::optional<ForkedRank> read = parse_forked_rank(encode_forked_rank({.pid = 17, .limited = false}));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->pid, 17);
  EXPECT_FALSE(read->limited);
  for (const std::string_view damaged : {"", "17", "17 ", "17 maybe", "-17 limited", "1 limited", "x limited", "17 limited "}) {
    EXPECT_FALSE(parse_forked_rank(damaged).has_value()) << damaged;
  }
}

TEST(ZygoteProtocol, packet_carries_descriptors) {
  const Sockets sockets;
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd reader(pipe[0]);
  {
    const UniqueFd writer(pipe[1]);
    const std::array<int, 1> descriptors{writer.get()};
    ASSERT_TRUE(send_packet(sockets.near.get(), "take this", descriptors).ok());
  }
  Result<Packet> packet = receive_packet(sockets.far.get(), 64);
  ASSERT_TRUE(packet.ok());
  EXPECT_EQ(packet->message, "take this");
  ASSERT_EQ(packet->descriptors.size(), 1U);
  EXPECT_EQ(::fcntl(packet->descriptors[0].get(), F_GETFD), FD_CLOEXEC);
  ASSERT_TRUE(write_all(packet->descriptors[0].get(), "x", "pipe").ok());
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
}

TEST(ZygoteProtocol, packet_that_is_too_long_is_refused) {
  const Sockets sockets;
  ASSERT_TRUE(send_packet(sockets.near.get(), "0123456789").ok());
  EXPECT_EQ(receive_packet(sockets.far.get(), 9).error().id, "zygote.packet");
}

TEST(ZygoteProtocol, end_of_the_other_side_is_an_empty_packet) {
  Sockets sockets;
  sockets.near.reset();
  const Result<Packet> packet = receive_packet(sockets.far.get(), 9);
  ASSERT_TRUE(packet.ok());
  EXPECT_TRUE(packet->message.empty());
  EXPECT_FALSE(send_packet(sockets.far.get(), "nobody").ok());
}

}  // namespace
}  // namespace trainyard::exec
