#include "adapters/localfs/local_log_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "adapters/localfs/internal/segment.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "store/log_record.h"

namespace trainyard::adapters::localfs {
namespace {

using internal::kSegmentSizeMax;
using internal::Segment;
using internal::SegmentFiles;

constexpr std::size_t kStripeCount = 32;
constexpr std::size_t kStreamsPerStripe = 256;  // Bounds what is remembered; a forgotten stream is found on disk again.

Error malformed(std::string_view what) {
  constexpr std::string_view kRule = "log records are sent whole, undamaged and from a record's start, send again from the end";
  return invalid_argument("log.malformed", fmt::format("{}; {}", kRule, what));
}

/// The stream of one rank: where its bytes lie, and what of them is not yet on disk. Guarded by its stripe.
class Stream {
 public:
  /// A process that died may not have synced the last segment; the others were synced before it was made.
  Stream(SegmentFiles files, std::vector<Segment> segments)
      : files_(std::move(files)),
        segments_(std::move(segments)),
        unsynced_from_(segments_.empty() ? 0 : segments_.size() - 1),
        names_unsynced_(!segments_.empty()) {}

  std::uint64_t end() const { return segments_.empty() ? 0 : segments_.back().end(); }
  const std::optional<Error>& failure() const { return failure_; }

  /// Appends whole records.
  Result<void> append(std::string_view records) {
    while (!records.empty()) {
      if (segments_.empty() || segments_.back().size + first_record(records) > kSegmentSizeMax) TRY(open_segment());
      Segment& last = segments_.back();
      const std::string_view part = records.substr(0, fitting(records, kSegmentSizeMax - last.size));
      unsynced_from_ = std::min(unsynced_from_, segments_.size() - 1);
      TRY(files_.write(segments_.size() - 1, last.size, part));
      last.size += part.size();
      records.remove_prefix(part.size());
    }
    return {};
  }

  /// A failure is remembered: what the disk holds is unknown then, and trying again could wrongly succeed.
  Result<void> sync() {
    if (failure_) return *failure_;
    Result<void> result = sync_files();
    if (!result.ok()) failure_ = result.error();
    return result;
  }

  Result<store::LogSlice> read(std::uint64_t offset, std::size_t size_max) const {
    store::LogSlice slice{{}, offset};
    while (slice.next_offset < end()) {
      const std::size_t used = slice.next_offset - offset;
      if (used > 0 && used >= size_max) break;
      Result<std::string> records = records_at(slice.next_offset, used > 0 ? size_max - used : size_max, used == 0);
      if (!records.ok() && used > 0) break;  // What comes before the damage is good.
      if (!records.ok()) return std::move(records).error();
      if (records->empty()) break;
      std::size_t consumed = 0;
      ASSIGN_OR_RETURN(std::vector<store::LogRecord> decoded, store::decode_log_records(*records, consumed));
      std::move(decoded.begin(), decoded.end(), std::back_inserter(slice.records));
      slice.next_offset += records->size();
    }
    return slice;
  }

 private:
  static std::size_t first_record(std::string_view records) {
    const Result<std::size_t> size = store::log_record_size(records);
    CHECK(size.ok() && *size > 0, "records were checked before");
    return *size;
  }

  /// How much of the start of `records` is whole records of at most `room` bytes together.
  static std::size_t fitting(std::string_view records, std::uint64_t room) {
    if (records.size() <= room) return records.size();
    std::size_t taken = 0;
    for (std::size_t next = first_record(records); taken + next <= room; next = first_record(records.substr(taken))) taken += next;
    return taken;
  }

  /// Starts a new segment. The one before is synced first, so that a crash can cut the last one alone.
  Result<void> open_segment() {
    if (!segments_.empty()) TRY(sync());
    TRY(files_.create(segments_.size(), end()));
    FAILPOINT("log.after_new_segment");
    segments_.push_back({end(), 0});
    unsynced_from_ = std::min(unsynced_from_, segments_.size() - 1);
    names_unsynced_ = true;
    return {};
  }

  Result<void> sync_files() {
    for (std::size_t index = unsynced_from_; index < segments_.size(); ++index) TRY(files_.sync(index));
    if (names_unsynced_) {
      // The directory of the attempt, of the job and of all jobs may be new.
      std::filesystem::path directory = files_.directory();
      for (int level = 0; level < 3; ++level, directory = directory.parent_path()) TRY(sync_directory(directory.string()));
    }
    unsynced_from_ = segments_.size();
    names_unsynced_ = false;
    return {};
  }

  /// Whole, checked records from `offset`, at most `size_max` bytes of them; with `at_least_one` one record whatever its size. Empty when
  /// the next record does not fit.
  Result<std::string> records_at(std::uint64_t offset, std::size_t size_max, bool at_least_one) const {
    const auto starts_after = [](std::uint64_t at, const Segment& segment) { return at < segment.start; };
    const auto after = std::upper_bound(segments_.begin(), segments_.end(), offset, starts_after);
    CHECK(after != segments_.begin(), "the first segment starts at 0");
    const Segment& segment = *std::prev(after);
    const auto index = static_cast<std::size_t>(std::prev(after) - segments_.begin());
    if (offset >= segment.end()) {
      return data_loss("log.corrupt", fmt::format("a log segment was cut short; offset {}, file {}", offset, files_.path(index)));
    }
    const std::size_t want = std::max(size_max, at_least_one ? store::kLogRecordOverhead + store::kLogRecordBytesMax : 0);
    ASSIGN_OR_RETURN(std::string bytes, files_.read(index, offset - segment.start, std::min<std::uint64_t>(want, segment.end() - offset)));
    std::size_t taken = 0;
    while (taken < bytes.size()) {
      const Result<std::size_t> size = store::log_record_size(std::string_view(bytes).substr(taken));
      const bool whole = size.ok() && *size > 0;
      if (!whole && taken == 0 && (!size.ok() || at_least_one)) {
        return data_loss("log.corrupt", fmt::format("a log record is damaged; offset {}, file {}", offset, files_.path(index)));
      }
      if (!whole || (taken + *size > size_max && !(taken == 0 && at_least_one))) break;
      taken += *size;
    }
    bytes.resize(taken);
    return bytes;
  }

  SegmentFiles files_;
  std::vector<Segment> segments_;
  std::size_t unsynced_from_;  ///< Index of the first segment that may not be on disk.
  bool names_unsynced_;        ///< Names of files or directories may not be on disk.
  std::optional<Error> failure_;
};

class LocalLogStore final : public store::LogStore {
 public:
  explicit LocalLogStore(std::string root) : root_(std::move(root)) {}

  Result<std::uint64_t> append(const RankKey& rank, std::uint64_t offset, std::string_view encoded) override {
    FAILPOINT("log.before_append");
    if (store::intact_log_prefix(encoded) != encoded.size()) return malformed(fmt::format("offset {}", offset));
    Stripe& stripe = stripe_of(rank);
    const std::lock_guard lock(stripe.mutex);
    ASSIGN_OR_RETURN(Stream* const stream, find(stripe, rank));
    if (stream->failure()) return *stream->failure();
    const std::uint64_t end = stream->end();
    if (offset > end) {
      return failed_precondition(
          "log.gap", fmt::format("log records are missing before this offset, send from the end; offset {}, end {}", offset, end));
    }
    const std::size_t skip = std::min<std::uint64_t>(end - offset, encoded.size());
    if (store::intact_log_prefix(encoded.substr(0, skip)) != skip) return malformed(fmt::format("offset {}, end {}", offset, end));
    if (skip == encoded.size()) return end;
    if (Result<void> appended = stream->append(encoded.substr(skip)); !appended.ok()) {
      // A part may be in the file. It is found, and cut back to whole records, when the stream is used next.
      if (!stream->failure()) stripe.streams.erase(rank);
      return std::move(appended).error();
    }
    const std::uint64_t new_end = stream->end();
    FAILPOINT("log.after_append_before_sync");
    return new_end;
  }

  Result<void> sync(const RankKey& rank) override {
    Stripe& stripe = stripe_of(rank);
    const std::lock_guard lock(stripe.mutex);
    ASSIGN_OR_RETURN(Stream* const stream, find(stripe, rank));
    TRY(stream->sync());
    FAILPOINT("log.after_sync");
    return {};
  }

  Result<std::uint64_t> end_offset(const RankKey& rank) override {
    Stripe& stripe = stripe_of(rank);
    const std::lock_guard lock(stripe.mutex);
    ASSIGN_OR_RETURN(Stream* const stream, find(stripe, rank));
    return stream->end();
  }

  Result<store::LogSlice> read(const RankKey& rank, std::uint64_t offset, std::size_t size_max) override {
    Stripe& stripe = stripe_of(rank);
    const std::lock_guard lock(stripe.mutex);
    ASSIGN_OR_RETURN(Stream* const stream, find(stripe, rank));
    if (offset >= stream->end()) return store::LogSlice{{}, stream->end()};
    return stream->read(offset, size_max);
  }

  Result<void> remove_job(JobId job) override {
    std::vector<std::unique_lock<std::mutex>> locks;
    for (Stripe& stripe : stripes_) locks.emplace_back(stripe.mutex);
    for (Stripe& stripe : stripes_) {
      std::erase_if(stripe.streams, [job](const auto& entry) { return entry.first.attempt.job == job; });
    }
    return remove_tree(fmt::format("{}/{}", root_, job.value));
  }

 private:
  struct Stripe {
    std::mutex mutex;
    std::map<RankKey, Stream> streams;  // guarded by mutex
  };

  Stripe& stripe_of(const RankKey& rank) {
    const std::uint64_t mixed = rank.attempt.job.value * 31 + rank.attempt.attempt.value * 7 + rank.rank;
    return stripes_[mixed % kStripeCount];
  }

  /// The stripe's mutex is held.
  Result<Stream*> find(Stripe& stripe, const RankKey& rank) const {
    if (const auto it = stripe.streams.find(rank); it != stripe.streams.end()) return &it->second;
    if (stripe.streams.size() >= kStreamsPerStripe) {
      std::erase_if(stripe.streams, [](const auto& entry) { return !entry.second.failure(); });
    }
    SegmentFiles files(fmt::format("{}/{}/{}", root_, rank.attempt.job.value, rank.attempt.attempt.value), rank.rank);
    ASSIGN_OR_RETURN(std::vector<Segment> segments, files.load());
    return &stripe.streams.emplace(rank, Stream(std::move(files), std::move(segments))).first->second;
  }

  const std::string root_;
  std::array<Stripe, kStripeCount> stripes_;
};

}  // namespace

Result<std::unique_ptr<store::LogStore>> make_local_log_store(const std::string& root) {
  std::error_code error;
  const std::string absolute = std::filesystem::absolute(root, error).lexically_normal().string();
  if (error) return system_error(error.value(), "resolve", root);
  TRY(make_directories(absolute));
  return std::unique_ptr<store::LogStore>(std::make_unique<LocalLogStore>(absolute));
}

}  // namespace trainyard::adapters::localfs
