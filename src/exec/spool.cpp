#include "exec/spool.h"

#include <fmt/format.h>

#include <charconv>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::exec {
namespace {

constexpr std::size_t kRecordTextMax = std::size_t{1} << 20;

Error corrupt(std::string_view what, const Error& cause) {
  return data_loss("spool.corrupt", fmt::format("a spool record is damaged and is treated as missing: {}: {}", what, cause.message));
}

template <typename Record>
Result<Record> parse(std::string_view what, std::string_view text, Result<Record> (*read)(const Document&)) {
  const Result<Document> document = parse_json(text);
  if (!document.ok()) return corrupt(what, document.error());
  Result<Record> record = read(*document);
  if (!record.ok()) return corrupt(what, record.error());
  return record;
}

Result<StartRecord> start_record(const Document& document) {
  StartRecord record;
  ASSIGN_OR_RETURN(record.rank, rank_key_from(document["rank"]));
  ASSIGN_OR_RETURN(record.boot_id, document.string_at("boot_id"));
  ASSIGN_OR_RETURN(const std::int64_t started, document.int_at("started_at_us"));
  record.started_at = time_from_micros(started);
  return record;
}

Result<ExitRecord> exit_record(const Document& document) {
  ExitRecord record;
  ASSIGN_OR_RETURN(record.rank, rank_key_from(document["rank"]));
  ASSIGN_OR_RETURN(record.pid, document.int_at("pid"));
  ASSIGN_OR_RETURN(const std::int64_t started, document.int_at("started_at_us"));
  record.started_at = time_from_micros(started);
  ASSIGN_OR_RETURN(record.exit, rank_exit_from(document["exit"]));
  ASSIGN_OR_RETURN(record.log_size, document["log_size"].as_unsigned());
  ASSIGN_OR_RETURN(record.events_size, document["events_size"].as_unsigned());
  return record;
}

Result<ShippedMark> shipped_mark(const Document& document) {
  ShippedMark mark;
  ASSIGN_OR_RETURN(mark.log_size, document["log_size"].as_unsigned());
  ASSIGN_OR_RETURN(mark.events_size, document["events_size"].as_unsigned());
  ASSIGN_OR_RETURN(mark.event_lines, document["event_lines"].as_unsigned());
  return mark;
}

template <typename Number>
void append_little_endian(Number number, std::string& out) {
  for (std::size_t byte = 0; byte < sizeof(Number); ++byte) {
    out.push_back(static_cast<char>((static_cast<std::uint64_t>(number) >> (8 * byte)) & 0xff));
  }
}

std::uint32_t read_length(std::string_view header) {
  std::uint32_t length = 0;
  for (std::size_t byte = 0; byte < 4; ++byte) length |= std::uint32_t{static_cast<unsigned char>(header[9 + byte])} << (8 * byte);
  return length;
}

}  // namespace

SpoolPaths spool_paths(const std::string& data_dir, const RankKey& rank) {
  SpoolPaths paths;
  const std::string stem =
      fmt::format("{}/{}.{}.{}", spool_directory(data_dir), rank.attempt.job.value, rank.attempt.attempt.value, rank.rank);
  paths.log = stem + ".log";
  paths.events = stem + ".events";
  paths.shipped = stem + ".shipped.json";
  paths.exit_record = stem + ".exit.json";
  return paths;
}

std::optional<RankKey> rank_of_spool_file(std::string_view name) {
  RankKey rank;
  const auto take = [&name](auto& number) {
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc() || end == name.data() + name.size() || *end != '.') return false;
    name.remove_prefix(static_cast<std::size_t>(end - name.data()) + 1);
    return true;
  };
  if (!take(rank.attempt.job.value) || !take(rank.attempt.attempt.value) || !take(rank.rank)) return std::nullopt;
  return rank;
}

std::string spool_directory(const std::string& data_dir) { return data_dir + "/spool"; }

std::string slots_directory(const std::string& data_dir) { return run_directory(data_dir) + "/slots"; }

std::string work_directory(const std::string& data_dir) { return data_dir + "/work"; }

std::string default_workdir(const std::string& data_dir, const AttemptKey& attempt) {
  return fmt::format("{}/{}/{}", work_directory(data_dir), attempt.job.value, attempt.attempt.value);
}

std::string run_directory(const std::string& data_dir) { return data_dir + "/run"; }

std::string to_text(const StartRecord& record) {
  const Document document =
      Document::object({{"rank", to_document(record.rank)}, {"boot_id", record.boot_id}, {"started_at_us", micros(record.started_at)}});
  return to_json(document) + "\n";
}

Result<StartRecord> start_record_from(std::string_view text) { return parse<StartRecord>("start record", text, &start_record); }

std::string to_text(const ExitRecord& record) {
  const Document document = Document::object({{"rank", to_document(record.rank)},
                                              {"pid", record.pid},
                                              {"started_at_us", micros(record.started_at)},
                                              {"exit", to_document(record.exit)},
                                              {"log_size", record.log_size},
                                              {"events_size", record.events_size}});
  return to_json(document) + "\n";
}

Result<ExitRecord> exit_record_from(std::string_view text) { return parse<ExitRecord>("exit record", text, &exit_record); }

std::string to_text(const ShippedMark& mark) {
  const Document document =
      Document::object({{"log_size", mark.log_size}, {"events_size", mark.events_size}, {"event_lines", mark.event_lines}});
  return to_json(document) + "\n";
}

Result<ShippedMark> shipped_mark_from(std::string_view text) { return parse<ShippedMark>("shipped mark", text, &shipped_mark); }

ShippedMark read_shipped_mark(const SpoolPaths& paths) {
  const Result<std::string> text = read_file(paths.shipped, kRecordTextMax);
  if (!text.ok()) return {};
  return shipped_mark_from(*text).value_or(ShippedMark{});
}

void append_log_record(TimePoint time, std::uint8_t stream, std::string_view bytes, std::string& out) {
  const std::size_t start = out.size();
  append_little_endian(micros(time), out);
  out.push_back(static_cast<char>(stream));
  append_little_endian(static_cast<std::uint32_t>(bytes.size()), out);
  out.append(bytes);
  append_little_endian(crc32c(as_bytes(std::string_view(out).substr(start))), out);
}

std::size_t whole_log_records(std::string_view encoded) {
  std::size_t whole = 0;
  while (encoded.size() - whole >= kLogRecordOverhead) {
    const std::size_t length = read_length(encoded.substr(whole));
    if (length > kSpoolLineMax || encoded.size() - whole < length + kLogRecordOverhead) break;
    whole += length + kLogRecordOverhead;
  }
  return whole;
}

}  // namespace trainyard::exec
