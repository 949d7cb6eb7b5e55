#pragma once
#include <hiredis/hiredis.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "store/state_url.h"

namespace trainyard::adapters::redis::internal {

struct ReplyDeleter {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, ReplyDeleter>;

// Readers of replies. What is of another kind is DATA_LOSS "ledger.corrupt": commands and their readers are written together.
Result<std::string_view> text_of(const redisReply& reply);
Result<std::uint64_t> number_of(const redisReply& reply);
Result<std::vector<const redisReply*>> elements_of(const redisReply& reply);
bool is_nil(const redisReply& reply);

/// An error that the server answered with; its first word names the kind.
struct ServerError {
  std::string kind;  ///< "NOSCRIPT", "FENCED" ..; empty when the reply is no error.
  std::string text;
};

struct ConnectionTimes {
  Duration connect_timeout;
  Duration loading_timeout;
  Duration answer_timeout;
};

/// One connection to a Redis server. For one thread at a time. Errors of every method: UNAVAILABLE "ledger.unavailable" when the
/// connection fails (it is closed then), UNAUTHENTICATED "ledger.access", RESOURCE_EXHAUSTED "ledger.memory_full".
class Connection {
 public:
  Connection(store::StateUrl url, ConnectionTimes times) : url_(std::move(url)), times_(times) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Connects, says who we are and waits while the server loads its data. Nothing happens when it is connected.
  Result<void> connect();
  void close();
  bool connected() const { return context_ != nullptr; }
  /// Tries a connection that was not used for longer than `idle`, and replaces it when it is gone.
  Result<void> make_usable(Duration idle);

  /// Sends one command and waits for its answer. An answer that is an error comes back as the error it stands for.
  Result<Reply> command(const std::vector<std::string_view>& words);
  /// The same in two steps. Other errors of the server than those named above are told by `error_in`.
  Result<void> send(const std::vector<std::string_view>& words);
  Result<Reply> receive();
  static ServerError error_in(const redisReply& reply);
  /// What an error of the server stands for.
  Error error_of(const ServerError& error) const;

 private:
  Result<void> greet();
  Result<void> wait_until_loaded();
  Error lost(std::string_view doing);
  Error lost_in_system(std::string_view doing, int error_number);
  Error lost_because(std::string_view doing, const std::string& why);

  store::StateUrl url_;
  ConnectionTimes times_;
  redisContext* context_ = nullptr;
  MonotonicPoint last_used_;
};

}  // namespace trainyard::adapters::redis::internal
