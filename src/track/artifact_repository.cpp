#include "track/artifact_repository.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checksum.h"
#include "track/internal/transaction.h"
#include "track/validation.h"

namespace trainyard::track {
namespace {

using store::Connection;
using store::ObjectInfo;
using store::Row;

constexpr std::size_t kPathMax = 4096;
constexpr int kUnquoteMax = 10;

Error invalid_path() { return invalid_argument("track.path", "Invalid path"); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// Resolves well-formed percent escapes once and leaves the rest.
std::string unquote(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    out.push_back(escape ? static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])) : text[i]);
    if (escape) i += 2;
  }
  return out;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

Result<bool> exists(Connection& sql, std::string_view table, const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query(fmt::format("SELECT 1 FROM {} WHERE path = ?", table), {path}));
  return !rows.empty();
}

/// Makes every directory above `path`.
Result<void> make_parents(Connection& sql, const std::string& path) {
  for (std::string directory = parent_of(path); !directory.empty(); directory = parent_of(directory)) {
    ASSIGN_OR_RETURN(const bool is_file, exists(sql, "artifact_file", directory));
    if (is_file) return invalid_path();
    TRY(sql.execute("INSERT INTO artifact_directory(path, parent) VALUES(?, ?) ON CONFLICT(path) DO NOTHING",
                    {directory, parent_of(directory)}));
  }
  return {};
}

Result<void> remove_below(Connection& sql, const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<Row> children, sql.query("SELECT path FROM artifact_directory WHERE parent = ?", {directory}));
  for (const Row& child : children) TRY(remove_below(sql, child.text(0)));
  TRY(sql.execute("DELETE FROM artifact_file WHERE parent = ?", {directory}));
  TRY(sql.execute("DELETE FROM artifact_directory WHERE path = ?", {directory}));
  return {};
}

/// Directories exist only while something lies in them.
Result<void> remove_empty_parents(Connection& sql, const std::string& path) {
  for (std::string directory = parent_of(path); !directory.empty(); directory = parent_of(directory)) {
    ASSIGN_OR_RETURN(
        const std::vector<Row> rows,
        sql.query("SELECT path FROM artifact_directory WHERE parent = ? UNION ALL SELECT path FROM artifact_file WHERE parent = ? LIMIT 1",
                  {directory, directory}));
    if (!rows.empty()) return {};
    TRY(sql.execute("DELETE FROM artifact_directory WHERE path = ?", {directory}));
  }
  return {};
}

}  // namespace

Result<std::string> check_artifact_path(std::string_view path) {
  std::string text(path);
  for (int i = 0; unquote(text) != text; ++i) {
    if (i == kUnquoteMax) return invalid_path();
    text = unquote(text);
  }
  if (text.size() > kPathMax || text.starts_with('/') || text.starts_with("file:")) return invalid_path();
  if (text.find_first_of(std::string_view("\\#\0", 3)) != std::string::npos) return invalid_path();
  if (text.empty()) return text;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    if (rest.substr(0, slash) == "..") return invalid_path();
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  const std::string normal = normal_path(text);
  return normal == "." ? std::string() : normal;
}

Result<std::string> artifact_path_of(std::string_view uri) {
  if (!uri.starts_with(kArtifactScheme)) {
    return invalid_argument("track.artifact_uri",
                            fmt::format("Artifacts of this location are not kept by this server; use a client of that store: {}", uri));
  }
  uri.remove_prefix(kArtifactScheme.size());
  while (uri.starts_with('/')) uri.remove_prefix(1);
  return check_artifact_path(uri);
}

Result<void> ArtifactRepository::put(const std::string& path, std::span<const std::byte> bytes) {
  const store::ObjectName name{fmt::format("artifacts/{}", xxh3_hex(bytes))};
  store::SpanSource source(bytes);
  ASSIGN_OR_RETURN(const ObjectInfo object, objects_.put_if_absent(name, source));
  return link(path, object);
}

Result<void> ArtifactRepository::link(const std::string& path, const ObjectInfo& object) {
  if (path.empty()) return invalid_path();
  return database_.write([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const bool is_directory, exists(sql, "artifact_directory", path));
    if (is_directory) return invalid_path();
    TRY(make_parents(sql, path));
    TRY(sql.execute(
        "INSERT INTO artifact_file(path, parent, object, size, checksum, created_ms) VALUES(?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(path) DO UPDATE SET object = excluded.object, size = excluded.size, checksum = excluded.checksum, "
        "created_ms = excluded.created_ms",
        {path, parent_of(path), object.name.text, static_cast<std::int64_t>(object.size), object.checksum, micros(clock_.now()) / 1000}));
    return {};
  });
}

Result<ObjectInfo> ArtifactRepository::find(const std::string& path) {
  return internal::read_value<ObjectInfo>(database_, [&](Connection& sql) -> Result<ObjectInfo> {
    ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query("SELECT object, size, checksum FROM artifact_file WHERE path = ?", {path}));
    if (!rows.empty()) {
      return ObjectInfo{{rows.front().text(0)}, static_cast<std::uint64_t>(rows.front().integer(1)), rows.front().text(2)};
    }
    ASSIGN_OR_RETURN(const bool is_directory, exists(sql, "artifact_directory", path));
    if (is_directory || path.empty()) return invalid_argument("track.path", fmt::format("Path is a directory, not a file: '{}'", path));
    return not_found("track.unknown_artifact", fmt::format("No such artifact: '{}'", path));
  });
}

Result<std::string> ArtifactRepository::read(const ObjectInfo& object, std::uint64_t offset, std::size_t size) {
  std::string bytes(static_cast<std::size_t>(std::min<std::uint64_t>(size, object.size - std::min(offset, object.size))), '\0');
  if (bytes.empty()) return bytes;
  ASSIGN_OR_RETURN(const std::size_t count, objects_.read(object.name, offset, std::as_writable_bytes(std::span(bytes))));
  if (count != bytes.size())
    return data_loss("object.corrupt", fmt::format("A stored artifact is shorter than it was: {}", object.name.text));
  return bytes;
}

Result<std::vector<ArtifactEntry>> ArtifactRepository::list(const std::string& directory) {
  return internal::read_value<std::vector<ArtifactEntry>>(database_, [&](Connection& sql) -> Result<std::vector<ArtifactEntry>> {
    std::vector<ArtifactEntry> entries;
    ASSIGN_OR_RETURN(const std::vector<Row> directories, sql.query("SELECT path FROM artifact_directory WHERE parent = ?", {directory}));
    for (const Row& row : directories) entries.push_back({row.text(0), true, 0});
    ASSIGN_OR_RETURN(const std::vector<Row> files, sql.query("SELECT path, size FROM artifact_file WHERE parent = ?", {directory}));
    for (const Row& row : files) entries.push_back({row.text(0), false, static_cast<std::uint64_t>(row.integer(1))});
    std::sort(entries.begin(), entries.end(), [](const ArtifactEntry& a, const ArtifactEntry& b) { return a.path < b.path; });
    return entries;
  });
}

Result<void> ArtifactRepository::remove(const std::string& path) {
  return database_.write([&](Connection& sql) -> Result<void> {
    TRY(sql.execute("DELETE FROM artifact_file WHERE path = ?", {path}));
    TRY(remove_below(sql, path));
    return remove_empty_parents(sql, path);
  });
}

}  // namespace trainyard::track
