#include "adapters/redis/internal/connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <charconv>
#include <system_error>

#include "store/ledger_rules.h"

namespace trainyard::adapters::redis::internal {
namespace {

constexpr int kLoadingPollMilliseconds = 50;

timeval timeval_of(Duration duration) {
  return {.tv_sec = static_cast<time_t>(duration.count() / 1'000'000), .tv_usec = static_cast<suseconds_t>(duration.count() % 1'000'000)};
}

MonotonicPoint now() { return SystemClock().monotonic_now(); }

}  // namespace

Result<std::string_view> text_of(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_STRING && reply.type != REDIS_REPLY_STATUS) return store::corrupt_ledger("a text is missing");
  return std::string_view(reply.str, reply.len);
}

Result<std::uint64_t> number_of(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_INTEGER) return static_cast<std::uint64_t>(reply.integer);
  ASSIGN_OR_RETURN(const std::string_view text, text_of(reply));
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return store::corrupt_ledger("something else stands where a number should");
  return number;
}

Result<std::vector<const redisReply*>> elements_of(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ARRAY) return store::corrupt_ledger("a list is missing");
  return std::vector<const redisReply*>(reply.element, reply.element + reply.elements);
}

bool is_nil(const redisReply& reply) { return reply.type == REDIS_REPLY_NIL; }

Connection::~Connection() { close(); }

void Connection::close() {
  if (context_ != nullptr) redisFree(context_);
  context_ = nullptr;
}

Error Connection::lost(std::string_view doing) {
  return lost_because(doing, context_ == nullptr ? "out of memory" : std::string(context_->errstr));
}

Error Connection::lost_in_system(std::string_view doing, int error_number) {
  return lost_because(doing, error_number == EAGAIN ? "it takes nothing any more" : std::generic_category().message(error_number));
}

/// The connection failed: it is closed, and this says why.
Error Connection::lost_because(std::string_view doing, const std::string& why) {
  close();
  return unavailable("ledger.unavailable", url_.without_secrets(fmt::format("Redis cannot be reached, look at the server: {} {}: {}", doing,
                                                                            url_.redacted(), why)));
}

Result<void> Connection::connect() {
  if (connected()) return {};
  context_ = redisConnectWithTimeout(url_.host.c_str(), url_.port, timeval_of(times_.connect_timeout));
  if (context_ == nullptr || context_->err != 0) return lost("connecting to");
  if (redisSetTimeout(context_, timeval_of(times_.answer_timeout)) != REDIS_OK || redisEnableKeepAlive(context_) != REDIS_OK) {
    return lost("connecting to");
  }
  Result<void> greeted = greet();
  if (!greeted.ok()) close();
  return greeted;
}

Result<void> Connection::greet() {
  if (!url_.password.empty()) {
    std::vector<std::string_view> words{"AUTH"};
    if (!url_.user.empty()) words.emplace_back(url_.user);
    words.emplace_back(url_.password);
    TRY(command(words));
  }
  TRY(wait_until_loaded());
  TRY(command({"SELECT", url_.database}));
  TRY(command({"CLIENT", "SETNAME", "trainyard-ledger"}));
  return {};
}

Result<void> Connection::wait_until_loaded() {
  const MonotonicPoint deadline = now() + times_.loading_timeout;
  for (;;) {
    TRY(send({"PING"}));
    ASSIGN_OR_RETURN(const Reply reply, receive());
    const ServerError error = error_in(*reply);
    if (error.kind != "LOADING") return error.kind.empty() ? Result<void>() : error_of(error);
    if (now() > deadline) {
      return unavailable("ledger.unavailable", "Redis still loads its data, try again when it is done: " + url_.redacted());
    }
    // The server says nothing unasked, so that this waits unless the connection ends.
    pollfd ended{context_->fd, POLLIN, 0};
    (void)::poll(&ended, 1, kLoadingPollMilliseconds);
  }
}

Result<void> Connection::make_usable(Duration idle) {
  if (connected() && now() - last_used_ <= idle) return {};
  if (connected() && command({"PING"}).ok()) return {};
  close();
  return connect();
}

Result<void> Connection::send(const std::vector<std::string_view>& words) {
  TRY(connect());
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string_view word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  char* formatted = nullptr;
  const int size = redisFormatCommandArgv(&formatted, static_cast<int>(words.size()), texts.data(), sizes.data());
  if (size < 0) return lost("writing to");
  const std::unique_ptr<char, void (*)(char*)> command(formatted, [](char* text) { redisFreeCommand(text); });
  last_used_ = now();
  std::string_view rest(formatted, static_cast<std::size_t>(size));
  while (!rest.empty()) {
    // Not by hiredis, which would end the process by SIGPIPE when the server is gone.
    const ssize_t sent = ::send(context_->fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return lost_in_system("writing to", errno);
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<Reply> Connection::receive() {
  if (!connected()) return lost("reading from");
  void* reply = nullptr;
  if (redisGetReply(context_, &reply) != REDIS_OK || reply == nullptr) return lost("reading from");
  last_used_ = now();
  return Reply(static_cast<redisReply*>(reply));
}

Result<Reply> Connection::command(const std::vector<std::string_view>& words) {
  TRY(send(words));
  ASSIGN_OR_RETURN(Reply reply, receive());
  if (const ServerError error = error_in(*reply); !error.kind.empty()) return error_of(error);
  return reply;
}

ServerError Connection::error_in(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ERROR) return {};
  const std::string_view text(reply.str, reply.len);
  return {std::string(text.substr(0, text.find(' '))), std::string(text)};
}

Error Connection::error_of(const ServerError& error) const {
  const std::string said = url_.without_secrets(error.text.substr(0, 300));
  if (error.kind == "NOAUTH" || error.kind == "WRONGPASS" || error.kind == "NOPERM" || error.text.find("AUTH") != std::string::npos) {
    return {Category::kUnauthenticated,
            "ledger.access",
            fmt::format("Redis refuses us, check user, password and rights in the state URL: {} ({})", said, url_.redacted()),
            {},
            {}};
  }
  if (error.kind == "OOM") {
    return {Category::kResourceExhausted,
            "ledger.memory_full",
            fmt::format("Redis is out of memory, raise its maxmemory: {} ({})", said, url_.redacted()),
            {},
            {}};
  }
  return unavailable("ledger.unavailable", fmt::format("Redis refused a command, look at the server: {} ({})", said, url_.redacted()));
}

}  // namespace trainyard::adapters::redis::internal
