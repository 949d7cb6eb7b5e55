#include "exec/zygote_protocol.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace trainyard::exec {
namespace {

constexpr std::string_view kMagic = "trainyard-zygote 1";
constexpr std::size_t kPacketDescriptorsMax = kZygoteDescriptors + kZygoteGroupsMax;

void put_field(std::string& message, std::string_view field) {
  message += field;
  message += '\0';
}

/// Takes the text before the next NUL off `rest`.
std::optional<std::string_view> take_field(std::string_view& rest) {
  const std::size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return field;
}

template <typename Number>
std::optional<Number> number_in(std::optional<std::string_view> text) {
  if (!text) return std::nullopt;
  Number number{};
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return number;
}

std::vector<UniqueFd> descriptors_of(msghdr& header) {
  std::vector<UniqueFd> descriptors;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t index = 0; index < count; ++index) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + index * sizeof(int), sizeof(int));
      descriptors.emplace_back(fd);
    }
  }
  return descriptors;
}

}  // namespace

std::string encode_zygote_request(const ZygoteRequest& request) {
  std::string message;
  put_field(message, kMagic);
  put_field(message, std::to_string(request.parent));
  put_field(message, std::to_string(request.data_max));
  put_field(message, std::to_string(request.nice));
  put_field(message, request.workdir);
  for (const auto& [name, value] : request.environment) put_field(message, fmt::format("{}={}", name, value));
  return message;
}

Result<ZygoteRequest> parse_zygote_request(std::string_view message) {
  const Error damaged = data_loss("zygote.request", "a request to a zygote is damaged, or warden and program are of different versions");
  std::string_view rest = message;
  if (take_field(rest) != kMagic) return damaged;
  const auto parent = number_in<pid_t>(take_field(rest));
  const auto data_max = number_in<std::int64_t>(take_field(rest));
  const auto nice = number_in<int>(take_field(rest));
  const auto workdir = take_field(rest);
  if (!parent || !data_max || !nice || !workdir || workdir->empty()) return damaged;
  ZygoteRequest request{.parent = *parent, .data_max = *data_max, .nice = *nice, .workdir = std::string(*workdir), .environment = {}};
  while (!rest.empty()) {
    const auto variable = take_field(rest);
    const std::size_t equals = variable ? variable->find('=') : std::string_view::npos;
    if (equals == std::string_view::npos || equals == 0) return damaged;
    request.environment.emplace(variable->substr(0, equals), variable->substr(equals + 1));
  }
  return request;
}

std::string encode_forked_rank(const ForkedRank& rank) { return fmt::format("{} {}", rank.pid, rank.limited ? "limited" : "unlimited"); }

std::optional<ForkedRank> parse_forked_rank(std::string_view message) {
  const std::size_t space = message.find(' ');
  const auto pid = number_in<pid_t>(message.substr(0, space));
  if (space == std::string_view::npos || !pid || *pid <= 1) return std::nullopt;
  const std::string_view limits = message.substr(space + 1);
  if (limits != "limited" && limits != "unlimited") return std::nullopt;
  return ForkedRank{.pid = *pid, .limited = limits == "limited"};
}

Result<void> send_packet(int socket, std::string_view message, std::span<const int> descriptors) {
  CHECK(descriptors.size() <= kPacketDescriptorsMax, "more descriptors than a packet carries");
  iovec part{const_cast<char*>(message.data()), message.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kPacketDescriptorsMax * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = 0;
  while ((sent = ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0 && errno == EINTR) {
  }
  if (sent != static_cast<ssize_t>(message.size())) return system_error(sent < 0 ? errno : EMSGSIZE, "sendmsg", "zygote");
  return {};
}

Result<Packet> receive_packet(int socket, std::size_t size_max) {
  Packet packet;
  packet.message.resize(size_max);
  iovec part{packet.message.data(), packet.message.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kPacketDescriptorsMax * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got = 0;
  while ((got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  if (got < 0) return system_error(errno, "recvmsg", "zygote");
  packet.descriptors = descriptors_of(header);
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return Error{Category::kResourceExhausted, "zygote.packet", "a packet between warden and zygote is too long", {}, {}};
  }
  packet.message.resize(static_cast<std::size_t>(got));
  return packet;
}

}  // namespace trainyard::exec
