#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exec/attempt.h"
#include "exec/spool.h"

namespace trainyard::exec {

// What agent and warden say to each other over run/warden.sock; docs/formats/warden.md lists the messages.

/// Bytes of one frame at most.
inline constexpr std::size_t kFrameMax = std::size_t{16} << 20;
/// Grows when an older peer would misunderstand.
inline constexpr int kWardenProtocol = 1;

/// `u32 length (little-endian) | JSON`.
std::string encode_frame(const Document& message);

/// Cuts a byte stream into frames.
class FrameDecoder {
 public:
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  /// The next whole frame, none if more bytes are needed. Errors: INVALID_ARGUMENT "warden.frame" for one that is too long or no JSON;
  /// the stream is of no use afterwards.
  Result<std::optional<Document>> next();

 private:
  std::string buffer_;
  std::size_t start_ = 0;  ///< Bytes before it are taken.
};

/// All that the warden knows of one rank.
struct WardenRank {
  RankObservation observation;
  bool stopping = false;                ///< A stop was requested.
  std::uint32_t checkpoint_number = 0;  ///< The last checkpoint request that was delivered.
  std::uint64_t log_size = 0;           ///< Bytes in the log file: a record boundary. Final once it has exited.
  std::uint64_t events_size = 0;        ///< Bytes in the events file: a line boundary. Final once it has exited.
};
Document to_document(const WardenRank& rank);
Result<WardenRank> warden_rank_from(const Document& document);

/// New sizes of a running rank's files.
struct RankGrowth {
  RankKey rank;
  std::uint64_t log_size = 0;
  std::uint64_t events_size = 0;
};

// Requests. `id` comes back in the reply; 0 asks for none.
Document hello_request(std::uint64_t id);
Document subscribe_request(std::uint64_t id);
Document list_request(std::uint64_t id);
/// Makes a rank ready without starting it; a start request with the whole launch follows.
Document prepare_request(const RankLaunch& launch);
Document start_request(const RankLaunch& launch);
Document stop_request(const RankKey& rank, Duration grace);
Document checkpoint_request(const RankKey& rank, std::uint32_t number);
Document signal_request(const RankKey& rank, int signal);
Document forget_request(const RankKey& rank);
Document shipped_request(const RankKey& rank, const ShippedMark& mark);
Document shutdown_request(std::uint64_t id, Duration grace);

/// Answers to `hello`, and to `list` and `subscribe`.
struct WardenHello {
  std::string boot_id;
  std::int64_t pid = 0;
  int protocol = 0;
};
Result<WardenHello> warden_hello_from(const Document& reply);
Result<std::vector<WardenRank>> warden_ranks_from(const Document& reply);
/// The growths in a "grown" push.
Result<std::vector<RankGrowth>> rank_growths_from(const Document& push);
Document grown_push(const std::vector<RankGrowth>& growths);

}  // namespace trainyard::exec
