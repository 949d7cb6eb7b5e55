#include "adapters/redis/redis_job_ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <mutex>

#include "adapters/redis/internal/connection.h"
#include "adapters/redis/internal/ledger_keys.h"
#include "adapters/redis/internal/ledger_reads.h"
#include "adapters/redis/internal/ledger_scripts.h"
#include "adapters/redis/internal/records.h"
#include "base/failpoint.h"
#include "store/ledger_rules.h"
#include "store/ledger_writer.h"
#include "store/state_url.h"

namespace trainyard::adapters::redis {
namespace {

using internal::Connection;
using internal::LedgerKeys;
using internal::Reply;
using internal::ServerError;

constexpr std::int64_t kFormat = 1;
/// Redis takes no more than 1 GiB of unfinished input from a client.
constexpr std::size_t kBatchBytesMax = std::size_t{768} << 20;

/// What a script needs besides its text.
struct Call {
  std::string_view script;
  std::string sha;  ///< Under which the server knows it, once it was loaded.
};

class RedisJobLedger final : public store::JobLedger {
 public:
  struct Connections {
    std::unique_ptr<Connection> writing;
    std::unique_ptr<Connection> reading;
  };

  RedisJobLedger(Connections connections, const std::string& name, Duration idle_check)
      : keys_(name),
        idle_check_(idle_check),
        writing_(std::move(connections.writing)),
        reading_(std::move(connections.reading)),
        writer_({.take_over = [this] { return take_over(); },
                 .write = [this](const store::LedgerBatch& batch, std::uint64_t epoch) { return write(batch, epoch); },
                 .after_answer = {}}) {}

  Result<store::LedgerRecovery> recover() override { return writer_.recover(); }
  void commit(store::LedgerBatch batch, Committed done) override { writer_.commit(std::move(batch), std::move(done)); }

  Result<std::vector<store::JobRecord>> list(JobId before, std::size_t limit) override {
    return read([&](Connection& connection) { return internal::read_jobs(connection, keys_, before, limit); });
  }
  Result<store::JobRecord> get(JobId id) override {
    return read([&](Connection& connection) { return internal::read_job(connection, keys_, id); });
  }
  Result<std::vector<store::EventRecord>> events(EventNumber after, JobId job, std::size_t limit) override {
    return read([&](Connection& connection) {
      return job.valid() ? internal::read_events_of(connection, keys_, job, after, limit)
                         : internal::read_events(connection, keys_, after, limit);
    });
  }

 private:
  /// Runs `work`, once more over a new connection when the old one fails.
  template <typename Work>
  auto read(const Work& work) -> decltype(work(std::declval<Connection&>())) {
    const std::lock_guard lock(reading_mutex_);
    const bool was_connected = reading_->connected();
    auto result = work(*reading_);
    const bool lost = was_connected && !reading_->connected() && !result.ok() && result.error().category == Category::kUnavailable;
    return lost ? work(*reading_) : std::move(result);
  }

  Result<store::LedgerRecovery> take_over() {
    TRY(writing_->make_usable(idle_check_));
    ASSIGN_OR_RETURN(const Reply reply, run_script(take_over_, {fmt::format("{}", kFormat)}));
    ASSIGN_OR_RETURN(const std::vector<const redisReply*> values, internal::elements_of(*reply));
    if (values.size() != 3) return store::corrupt_ledger("the meta record");
    FAILPOINT("ledger.after_epoch_raised");
    store::LedgerRecovery recovery;
    ASSIGN_OR_RETURN(recovery.epoch, internal::number_of(*values[0]));
    ASSIGN_OR_RETURN(recovery.last_event.value, internal::number_of(*values[1]));
    ASSIGN_OR_RETURN(recovery.last_job.value, internal::number_of(*values[2]));
    TRY(internal::read_recovery(*writing_, keys_, recovery));
    last_event_ = recovery.last_event;
    return recovery;
  }

  Result<void> write(const store::LedgerBatch& batch, std::uint64_t epoch) {
    FAILPOINT("ledger.before_commit");
    EventNumber last = batch.events.empty() ? last_event_ : batch.events.back().number;
    JobId newest;
    for (const store::JobRecord& job : batch.jobs) newest = std::max(newest, job.id);
    std::vector<std::string> arguments{fmt::format("{}", epoch),
                                       last_event_.text(),
                                       last.text(),
                                       newest.text(),
                                       batch.forget_keys_before ? fmt::format("{}", micros(*batch.forget_keys_before)) : std::string(),
                                       fmt::format("{}", store::kForgottenKeysMax)};
    std::vector<std::string> arrays = internal::arrays_of(batch);
    std::size_t size = 0;
    for (const std::string& array : arrays) size += array.size();
    if (size > kBatchBytesMax) {
      return Error{Category::kResourceExhausted,
                   "ledger.batch_too_large",
                   fmt::format("a batch is larger than Redis takes at once; bytes {}, most {}", size, kBatchBytesMax),
                   {},
                   {}};
    }
    std::move(arrays.begin(), arrays.end(), std::back_inserter(arguments));
    TRY(writing_->make_usable(idle_check_));
    ASSIGN_OR_RETURN(const Reply reply, run_script(commit_, arguments, epoch));
    last_event_ = last;
    FAILPOINT("ledger.after_commit");
    return {};
  }

  /// Runs a script by its digest, with its text where the server does not know it: then it has run nothing.
  Result<Reply> run_script(Call& call, const std::vector<std::string>& arguments, std::uint64_t epoch = 0) {
    if (call.sha.empty()) {
      ASSIGN_OR_RETURN(const Reply loaded, writing_->command({"SCRIPT", "LOAD", call.script}));
      ASSIGN_OR_RETURN(const std::string_view sha, internal::text_of(*loaded));
      call.sha = std::string(sha);
    }
    std::vector<std::string_view> words{"EVALSHA", call.sha, "7"};
    for (const std::string_view key : keys_.all()) words.push_back(key);
    words.insert(words.end(), arguments.begin(), arguments.end());
    ASSIGN_OR_RETURN(Reply reply, run(words));
    if (Connection::error_in(*reply).kind == "NOSCRIPT") {
      words[0] = "EVAL";
      words[1] = call.script;
      ASSIGN_OR_RETURN(reply, run(words));
    }
    const ServerError error = Connection::error_in(*reply);
    if (error.kind.empty()) return reply;
    if (error.kind == "FENCED") return store::fenced_ledger(epoch);
    if (error.kind == "CORRUPT") return store::corrupt_ledger(error.text);
    if (error.kind == "NEWER") {
      return failed_precondition("ledger.newer", fmt::format("the ledger was written by a newer version of this program, install that "
                                                             "version or restore a backup; known here {}, said {}: {}",
                                                             kFormat, error.text, keys_.prefix));
    }
    return writing_->error_of(error);
  }

  Result<Reply> run(const std::vector<std::string_view>& words) {
    TRY(writing_->send(words));
    FAILPOINT("ledger.after_write_before_commit");
    return writing_->receive();
  }

  const LedgerKeys keys_;
  const Duration idle_check_;

  // Of the writer's steps.
  std::unique_ptr<Connection> writing_;
  Call take_over_{internal::kTakeOverScript, {}};
  Call commit_{internal::kCommitScript, {}};
  EventNumber last_event_;

  std::mutex reading_mutex_;
  std::unique_ptr<Connection> reading_;  // guarded by reading_mutex_

  store::LedgerWriter writer_;
};

struct Setting {
  const char* name;
  bool (*good)(std::string_view value);
  const char* wanted;
};

constexpr std::array<Setting, 3> kSettings{{
    {"appendonly", [](std::string_view value) { return value == "yes"; }, "yes"},
    {"appendfsync", [](std::string_view value) { return value == "always"; }, "always"},
    {"no-appendfsync-on-rewrite", [](std::string_view value) { return value == "no"; }, "no"},
}};

Error unsafe(std::string_view name, std::string_view wanted, std::string_view found) {
  return failed_precondition(
      "ledger.unsafe_settings",
      fmt::format("Redis could lose acknowledged jobs, set `{} {}` in its configuration and start it again; it is: {}", name, wanted,
                  found));
}

Result<std::string> setting_of(Connection& connection, std::string_view name) {
  TRY(connection.send({"CONFIG", "GET", name}));
  ASSIGN_OR_RETURN(const Reply reply, connection.receive());
  if (const ServerError error = Connection::error_in(*reply); !error.kind.empty()) {
    return failed_precondition("ledger.unsafe_settings",
                               fmt::format("Redis does not show its configuration, so that nobody knows whether it would lose jobs: allow "
                                           "CONFIG GET, or add unchecked=1 to the state URL when `appendonly yes` and `appendfsync always` "
                                           "are set; it said: {}",
                                           error.text.substr(0, 200)));
  }
  ASSIGN_OR_RETURN(const std::vector<const redisReply*> pair, internal::elements_of(*reply));
  if (pair.size() != 2) return unsafe(name, "as a Redis 7 knows it", "unknown to this server");
  ASSIGN_OR_RETURN(const std::string_view value, internal::text_of(*pair[1]));
  return std::string(value);
}

Result<void> check_settings(Connection& connection) {
  for (const Setting& setting : kSettings) {
    ASSIGN_OR_RETURN(const std::string value, setting_of(connection, setting.name));
    if (!setting.good(value)) return unsafe(setting.name, setting.wanted, value);
  }
  ASSIGN_OR_RETURN(const std::string memory, setting_of(connection, "maxmemory"));
  ASSIGN_OR_RETURN(const std::string policy, setting_of(connection, "maxmemory-policy"));
  // The ledger's keys never expire, so that the volatile policies leave them alone.
  if (memory != "0" && policy.starts_with("allkeys")) return unsafe("maxmemory-policy", "noeviction", policy);
  return {};
}

Result<void> check_options(const store::StateUrl& url) {
  if (url.kind != store::StateKind::kRedis) return invalid_argument("state.url", "this is no Redis URL: " + url.redacted());
  for (const auto& [name, value] : url.options) {
    if (name == "unchecked" && (value == "0" || value == "1")) continue;
    const bool plain = std::all_of(value.begin(), value.end(),
                                   [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_'; });
    if (name == "name" && plain && !value.empty() && value.size() <= 64) continue;
    return invalid_argument("state.url", "a Redis URL takes the options name (letters, digits, - and _) and unchecked (0 or 1): " + name);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<store::JobLedger>> make_redis_job_ledger(const RedisJobLedgerSettings& settings) {
  ASSIGN_OR_RETURN(const store::StateUrl url, store::parse_state_url(settings.url));
  TRY(check_options(url));
  const auto connection = [&](Duration answer_timeout) {
    return std::make_unique<Connection>(url, internal::ConnectionTimes{settings.connect_timeout, settings.loading_timeout, answer_timeout});
  };
  RedisJobLedger::Connections connections{connection(settings.commit_timeout), connection(settings.read_timeout)};
  TRY(connections.writing->connect());
  TRY(connections.reading->connect());
  if (url.option("unchecked", "0") != "1") TRY(check_settings(*connections.reading));
  return std::unique_ptr<store::JobLedger>(
      std::make_unique<RedisJobLedger>(std::move(connections), url.option("name", "main"), settings.idle_check));
}

}  // namespace trainyard::adapters::redis
