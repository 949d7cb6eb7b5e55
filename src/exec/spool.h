#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "exec/attempt.h"

namespace trainyard::exec {

/// Files of one rank below the node's data directory; docs/formats/warden.md draws the tree.
struct SpoolPaths {
  std::string log;          ///< Encoded log records, stdout and stderr in the order they were read.
  std::string events;       ///< Event lines, each a JSON object and a newline.
  std::string shipped;      ///< ShippedMark: what the server holds, so that the start of the files may be gone.
  std::string exit_record;  ///< ExitRecord: there once the rank and its output have ended.
};
SpoolPaths spool_paths(const std::string& data_dir, const RankKey& rank);
/// Whose file in the spool this is: "JOB.ATTEMPT.RANK.*"; none for any other name.
std::optional<RankKey> rank_of_spool_file(std::string_view name);
std::string spool_directory(const std::string& data_dir);
/// Where what a rank needs lies while it runs: its spec, its token, its start record.
std::string slots_directory(const std::string& data_dir);

/// work/JOB/ATTEMPT: the working directory of ranks that name none.
std::string default_workdir(const std::string& data_dir, const AttemptKey& attempt);
/// What the working directories are below.
std::string work_directory(const std::string& data_dir);
/// run/warden.sock, run/warden.lock, run/warden.log and run/groups.
std::string run_directory(const std::string& data_dir);

/// Written before a rank's process is created: a start record without an exit record means that the warden died in between.
struct StartRecord {
  RankKey rank;
  std::string boot_id;  ///< Of the warden that started it.
  TimePoint started_at;
};

/// The authoritative end of a rank (docs/formats/warden.md).
struct ExitRecord {
  RankKey rank;
  std::int64_t pid = 0;  ///< 0 when it never ran.
  TimePoint started_at;
  RankExit exit;
  std::uint64_t log_size = 0;     ///< Final size of the log file: a record boundary.
  std::uint64_t events_size = 0;  ///< Final size of the events file: a line boundary.
};

/// How far the server holds a rank's output durably. Bytes before it may have been released from the files.
struct ShippedMark {
  std::uint64_t log_size = 0;
  std::uint64_t events_size = 0;
  std::uint64_t event_lines = 0;  ///< Lines in the first `events_size` bytes.
};

// JSON texts of the records, ending with a newline. Readers return DATA_LOSS "spool.corrupt" for anything else.
std::string to_text(const StartRecord& record);
Result<StartRecord> start_record_from(std::string_view text);
std::string to_text(const ExitRecord& record);
Result<ExitRecord> exit_record_from(std::string_view text);
std::string to_text(const ShippedMark& mark);
Result<ShippedMark> shipped_mark_from(std::string_view text);

/// Reads the mark of a rank; all zero when there is none or it is damaged, since shipping twice loses nothing.
ShippedMark read_shipped_mark(const SpoolPaths& paths);

/// Streams of log records: the numbers of store::LogStream.
inline constexpr std::uint8_t kStdoutStream = 1;
inline constexpr std::uint8_t kStderrStream = 2;
inline constexpr std::uint8_t kSystemStream = 3;
/// Bytes of one log record or one event line at most.
inline constexpr std::size_t kSpoolLineMax = 64 * 1024;
/// Bytes of a record around its payload: time, stream, length before it, checksum after it.
inline constexpr std::size_t kLogRecordHeader = 13;
inline constexpr std::size_t kLogRecordOverhead = kLogRecordHeader + 4;

/// Appends `u64 time_us | u8 stream | u32 length | bytes | u32 crc32c of all before` (little-endian) to `out`.
void append_log_record(TimePoint time, std::uint8_t stream, std::string_view bytes, std::string& out);
/// How many bytes at the start of `encoded` are whole records of at most kSpoolLineMax bytes; checksums are not looked at.
std::size_t whole_log_records(std::string_view encoded);

}  // namespace trainyard::exec
