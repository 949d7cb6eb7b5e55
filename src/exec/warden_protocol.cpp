#include "exec/warden_protocol.h"

#include <fmt/format.h>

namespace trainyard::exec {
namespace {

constexpr std::size_t kLengthBytes = 4;

Document request(std::string_view type, std::uint64_t id = 0) {
  Document document = Document::object({{"type", type}});
  if (id != 0) document.set("id", id);
  return document;
}

Document rank_request(std::string_view type, const RankKey& rank) {
  Document document = request(type);
  document.set("rank", to_document(rank));
  return document;
}

}  // namespace

std::string encode_frame(const Document& message) {
  const std::string json = to_json(message);
  std::string frame;
  frame.reserve(kLengthBytes + json.size());
  for (std::size_t byte = 0; byte < kLengthBytes; ++byte) frame.push_back(static_cast<char>((json.size() >> (8 * byte)) & 0xff));
  frame += json;
  return frame;
}

Result<std::optional<Document>> FrameDecoder::next() {
  const std::string_view rest = std::string_view(buffer_).substr(start_);
  if (rest.size() < kLengthBytes) return std::optional<Document>();
  std::size_t length = 0;
  for (std::size_t byte = 0; byte < kLengthBytes; ++byte) {
    length |= std::size_t{static_cast<unsigned char>(rest[byte])} << (8 * byte);
  }
  if (length > kFrameMax) return invalid_argument("warden.frame", fmt::format("a frame is longer than {} bytes: {}", kFrameMax, length));
  if (rest.size() < kLengthBytes + length) return std::optional<Document>();

  Result<Document> message = parse_json(rest.substr(kLengthBytes, length));
  if (!message.ok()) return invalid_argument("warden.frame", "a frame is not JSON: " + message.error().message);
  start_ += kLengthBytes + length;
  if (start_ == buffer_.size()) {
    buffer_.clear();
    start_ = 0;
  } else if (start_ > kFrameMax) {
    buffer_.erase(0, start_);
    start_ = 0;
  }
  return std::optional<Document>(std::move(message).value());
}

Document to_document(const WardenRank& rank) {
  return Document::object({{"observation", to_document(rank.observation)},
                           {"stopping", rank.stopping},
                           {"checkpoint_number", std::int64_t{rank.checkpoint_number}},
                           {"log_size", rank.log_size},
                           {"events_size", rank.events_size}});
}

Result<WardenRank> warden_rank_from(const Document& document) {
  WardenRank rank;
  ASSIGN_OR_RETURN(rank.observation, rank_observation_from(document["observation"]));
  ASSIGN_OR_RETURN(rank.stopping, document.bool_or("stopping", false));
  ASSIGN_OR_RETURN(const std::int64_t number, document.int_or("checkpoint_number", 0));
  rank.checkpoint_number = static_cast<std::uint32_t>(number);
  ASSIGN_OR_RETURN(rank.log_size, document["log_size"].as_unsigned());
  ASSIGN_OR_RETURN(rank.events_size, document["events_size"].as_unsigned());
  return rank;
}

Document hello_request(std::uint64_t id) { return request("hello", id); }
Document subscribe_request(std::uint64_t id) { return request("subscribe", id); }
Document list_request(std::uint64_t id) { return request("list", id); }

Document prepare_request(const RankLaunch& launch) {
  Document document = request("prepare");
  document.set("launch", to_document(launch));
  return document;
}

Document start_request(const RankLaunch& launch) {
  Document document = request("start");
  document.set("launch", to_document(launch));
  return document;
}

Document stop_request(const RankKey& rank, Duration grace) {
  Document document = rank_request("stop", rank);
  document.set("grace_us", grace.count());
  return document;
}

Document checkpoint_request(const RankKey& rank, std::uint32_t number) {
  Document document = rank_request("checkpoint", rank);
  document.set("number", std::int64_t{number});
  return document;
}

Document signal_request(const RankKey& rank, int signal) {
  Document document = rank_request("signal", rank);
  document.set("signal", signal);
  return document;
}

Document forget_request(const RankKey& rank) { return rank_request("forget", rank); }

Document shipped_request(const RankKey& rank, const ShippedMark& mark) {
  Document document = rank_request("shipped", rank);
  document.set("log_size", mark.log_size);
  document.set("events_size", mark.events_size);
  document.set("event_lines", mark.event_lines);
  return document;
}

Document shutdown_request(std::uint64_t id, Duration grace) {
  Document document = request("shutdown", id);
  document.set("grace_us", grace.count());
  return document;
}

Result<WardenHello> warden_hello_from(const Document& reply) {
  WardenHello hello;
  ASSIGN_OR_RETURN(hello.boot_id, reply.string_at("boot_id"));
  ASSIGN_OR_RETURN(hello.pid, reply.int_at("pid"));
  ASSIGN_OR_RETURN(const std::int64_t protocol, reply.int_at("protocol"));
  hello.protocol = static_cast<int>(protocol);
  return hello;
}

Result<std::vector<WardenRank>> warden_ranks_from(const Document& reply) {
  std::vector<WardenRank> ranks;
  for (const Document& item : reply["ranks"].items()) {
    ASSIGN_OR_RETURN(WardenRank rank, warden_rank_from(item));
    ranks.push_back(std::move(rank));
  }
  return ranks;
}

Result<std::vector<RankGrowth>> rank_growths_from(const Document& push) {
  std::vector<RankGrowth> growths;
  for (const Document& item : push["ranks"].items()) {
    RankGrowth growth;
    ASSIGN_OR_RETURN(growth.rank, rank_key_from(item["rank"]));
    ASSIGN_OR_RETURN(growth.log_size, item["log_size"].as_unsigned());
    ASSIGN_OR_RETURN(growth.events_size, item["events_size"].as_unsigned());
    growths.push_back(growth);
  }
  return growths;
}

Document grown_push(const std::vector<RankGrowth>& growths) {
  Document ranks = Document::array();
  for (const RankGrowth& growth : growths) {
    ranks.push(Document::object({{"rank", to_document(growth.rank)}, {"log_size", growth.log_size}, {"events_size", growth.events_size}}));
  }
  return Document::object({{"push", "grown"}, {"ranks", std::move(ranks)}});
}

}  // namespace trainyard::exec
