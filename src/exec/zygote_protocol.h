#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace trainyard::exec {

// What a warden and a zygote say to each other, and how: docs/formats/warden.md. A zygote is a process of a job program that is loaded and
// waits; a rank of that program is then a fork of it, which costs far less than loading.

/// The word that makes a program a zygote, with the warden's socket (SOCK_SEQPACKET) as descriptor kZygoteSocket.
inline constexpr std::string_view kZygoteWord = "--zygote";
inline constexpr int kZygoteSocket = 3;
/// The length of the marker that a zygote is started with: a rank writes its own over it, and what else is its own of its environment,
/// since others see only that memory.
inline constexpr std::size_t kZygoteMarkerSize = std::size_t{8} << 10;
/// From the zygote once it is loaded, from a rank that waits, and back to it: the one word that lets it run.
inline constexpr std::string_view kZygoteReady = "ready";
inline constexpr std::string_view kRankGo = "go";
inline constexpr std::size_t kZygoteMessageMax = std::size_t{192} << 10;

/// The order of the descriptors of a request; the control groups to enter follow, at most kZygoteGroupsMax.
enum class ZygoteDescriptor : std::uint8_t { kChannel, kInput, kOutput, kError, kEvents };
inline constexpr std::size_t kZygoteDescriptors = 5;
inline constexpr std::size_t kZygoteGroupsMax = 2;

/// What a zygote needs to make a rank.
struct ZygoteRequest {
  pid_t parent = 0;                                ///< The warden: the rank leaves when it is not its child.
  std::int64_t data_max = 0;                       ///< RLIMIT_DATA in bytes where no group could be entered; 0: none.
  int nice = 0;                                    ///< The priority of the rank, as setpriority counts: not above the zygote's.
  std::string workdir;                             ///< Absolute.
  std::map<std::string, std::string> environment;  ///< All of it.
};
/// None of the texts may hold a NUL, as with execve.
std::string encode_zygote_request(const ZygoteRequest& request);
/// Errors: DATA_LOSS "zygote.request".
Result<ZygoteRequest> parse_zygote_request(std::string_view message);

/// What a rank says on its channel when all is done but to run.
struct ForkedRank {
  pid_t pid = 0;
  bool limited = true;  ///< False when it could not enter its groups: it has the limits of a process.
};
std::string encode_forked_rank(const ForkedRank& rank);
std::optional<ForkedRank> parse_forked_rank(std::string_view message);

/// Sends one packet without waiting; the descriptors stay the caller's. Errors: those of sendmsg.
Result<void> send_packet(int socket, std::string_view message, std::span<const int> descriptors = {});

struct Packet {
  std::string message;  ///< Empty: the other side has closed.
  std::vector<UniqueFd> descriptors;
};
/// Waits for one packet. Errors: those of recvmsg; RESOURCE_EXHAUSTED "zygote.packet" for one that is too long.
Result<Packet> receive_packet(int socket, std::size_t size_max);

}  // namespace trainyard::exec
