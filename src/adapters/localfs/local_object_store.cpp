#include "adapters/localfs/local_object_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "adapters/localfs/internal/temporary_file.h"
#include "adapters/localfs/internal/tree.h"
#include "base/checksum.h"
#include "base/document.h"
#include "base/failpoint.h"

namespace trainyard::adapters::localfs {
namespace {

using internal::Place;
using internal::TemporaryFile;
using internal::Tree;
using store::ObjectInfo;
using store::ObjectName;

// No segment of an object name holds '@', so that these never meet a bucket.
constexpr std::string_view kRecords = "@meta";
constexpr std::string_view kTemporary = "@tmp";
constexpr std::string_view kLocks = "@lock";
constexpr std::size_t kLockCount = 16;
constexpr std::size_t kRecordSizeMax = 4096;
constexpr std::size_t kChunk = std::size_t{1} << 20;

Error missing(const ObjectName& name) { return not_found("object.missing", "there is no such object: " + object_uri(name)); }

Error corrupt(const ObjectName& name, std::string_view what) {
  return data_loss("object.corrupt", fmt::format("the stored object is damaged, restore or rebuild it; {}: {}", what, object_uri(name)));
}

Error exists(const ObjectName& name) {
  return {Category::kAlreadyExists, "object.exists", "another object has this name, choose another one: " + object_uri(name), {}, {}};
}

/// The '@' at the end keeps records apart from the directories of other records.
std::string record_path(const ObjectName& name) { return fmt::format("{}/{}@json", kRecords, name.text); }

/// An object's file together with what its record says.
struct Found {
  UniqueFd fd;
  ObjectInfo info;
  std::string path;
};

Result<ObjectInfo> parse_record(const ObjectName& name, const std::string& text) {
  const Result<Document> record = parse_json(text);
  if (!record.ok()) return corrupt(name, "its checksum record is not readable");
  const Result<std::int64_t> size = record->int_at("size");
  const Result<std::string> checksum = record->string_at("checksum");
  if (!size.ok() || *size < 0 || !checksum.ok() || !checksum->starts_with("xxh3:")) {
    return corrupt(name, "its checksum record is not readable");
  }
  return ObjectInfo{name, static_cast<std::uint64_t>(*size), *checksum};
}

Result<std::uint64_t> size_of(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_error(errno, "stat", path);
  return static_cast<std::uint64_t>(info.st_size);
}

/// Reads the whole file and returns its checksum.
Result<std::string> checksum_of(int fd, const std::string& path) {
  Xxh3 hash;
  std::vector<std::byte> chunk(kChunk);
  for (std::uint64_t offset = 0;;) {
    ASSIGN_OR_RETURN(const std::size_t got, read_at(fd, chunk, offset, path));
    if (got == 0) return "xxh3:" + hash.finish_hex();
    hash.update(std::span(chunk).first(got));
    offset += got;
  }
}

class LocalObjectStore final : public store::ObjectStore {
 public:
  explicit LocalObjectStore(Tree tree) : tree_(std::move(tree)) {}

  Result<void> prepare() { return internal::remove_abandoned_files(tree_, kTemporary); }

  Result<ObjectInfo> put_if_absent(const ObjectName& name, store::ByteSource& source) override {
    TRY(store::parse_object_name(name.text));
    ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::make(tree_, kTemporary));
    ObjectInfo info{name, 0, {}};
    Xxh3 hash;
    for (;;) {
      ASSIGN_OR_RETURN(const std::span<const std::byte> chunk, source.next());
      if (chunk.empty()) break;
      hash.update(chunk);
      TRY(write_all(file.fd(), chunk, file.path()));
      info.size += chunk.size();
    }
    info.checksum = "xxh3:" + hash.finish_hex();
    // Objects never change: a program that opens one for writing by mistake fails.
    if (::fchmod(file.fd(), 0400) != 0) return system_error(errno, "chmod", file.path());
    TRY(sync_data(file.fd(), file.path()));
    FAILPOINT("object.after_write_before_rename");
    TRY(publish(file, info));
    return info;
  }

  Result<ObjectInfo> stat(const ObjectName& name) override {
    ASSIGN_OR_RETURN(const Found found, find(name));
    return found.info;
  }

  Result<std::size_t> read(const ObjectName& name, std::uint64_t offset, std::span<std::byte> buffer) override {
    ASSIGN_OR_RETURN(const Found found, find(name));
    if (offset >= found.info.size) return std::size_t{0};
    const std::size_t want = std::min<std::uint64_t>(buffer.size(), found.info.size - offset);
    ASSIGN_OR_RETURN(const std::size_t got, read_at(found.fd.get(), buffer.first(want), offset, found.path));
    if (got != want) return corrupt(name, "it was cut short");
    if (want == found.info.size && "xxh3:" + xxh3_hex(buffer.first(want)) != found.info.checksum) {
      return corrupt(name, "its bytes do not match its checksum");
    }
    return got;
  }

  Result<void> verify(const ObjectName& name) override {
    ASSIGN_OR_RETURN(const Found found, find(name));
    ASSIGN_OR_RETURN(const std::string checksum, checksum_of(found.fd.get(), found.path));
    if (checksum != found.info.checksum) return corrupt(name, "its bytes do not match its checksum");
    return {};
  }

  Result<std::vector<ObjectInfo>> list(std::string_view prefix) override {
    std::vector<ObjectInfo> objects;
    std::vector<std::string> directories{directory_of(prefix)};
    while (!directories.empty()) {
      const std::string directory = std::move(directories.back());
      directories.pop_back();
      std::vector<ObjectName> names;
      TRY(tree_.for_each_entry(directory, [&](std::string_view entry, bool is_directory) {
        std::string path = directory.empty() ? std::string(entry) : fmt::format("{}/{}", directory, entry);
        // What no object can be called, as our own directories, is not looked at.
        const bool possible = store::parse_object_name(is_directory ? path + "/x" : path).ok();
        const std::size_t common = std::min(path.size(), prefix.size());
        if (!possible || path.compare(0, common, prefix.substr(0, common)) != 0) return;
        if (is_directory) {
          directories.push_back(std::move(path));
        } else if (path.size() >= prefix.size()) {
          names.push_back({std::move(path)});
        }
      }));
      for (const ObjectName& name : names) TRY(add_listed(name, objects));
    }
    std::sort(objects.begin(), objects.end(), [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
    return objects;
  }

  Result<void> remove(const ObjectName& name) override {
    TRY(store::parse_object_name(name.text));
    ASSIGN_OR_RETURN(const UniqueFd lock, lock_name(name));
    // The object goes first: a record alone means nothing, an object alone would look damaged.
    for (const std::string& path : {name.text, record_path(name)}) {
      ASSIGN_OR_RETURN(const std::optional<Place> place, tree_.find(path));
      if (!place) continue;
      TRY(internal::remove_file(*place));
      TRY(internal::sync_entries(*place));
    }
    return {};
  }

  Result<std::string> local_path(const ObjectName& name) override {
    ASSIGN_OR_RETURN(Found found, find(name));
    return std::move(found.path);
  }

 private:
  /// The deepest directory that holds all names with `prefix`; "" for the root. A prefix that no name has leads to no directory.
  static std::string directory_of(std::string_view prefix) {
    const std::size_t slash = prefix.rfind('/');
    if (slash == std::string_view::npos) return {};
    const std::string directory(prefix.substr(0, slash));
    return store::parse_object_name(directory + "/x").ok() ? directory : std::string(kTemporary) + "/none";
  }

  /// A damaged object is listed with what its file tells and without a checksum: one of them must not hide the others.
  Result<void> add_listed(const ObjectName& name, std::vector<ObjectInfo>& objects) {
    Result<Found> found = find(name);
    if (found.ok()) {
      objects.push_back(std::move(found).value().info);
      return {};
    }
    if (found.error().category == Category::kNotFound) return {};  // Removed in between.
    if (found.error().category != Category::kDataLoss) return std::move(found).error();
    ASSIGN_OR_RETURN(const std::optional<Place> place, tree_.find(name.text));
    if (!place) return {};
    ASSIGN_OR_RETURN(const std::optional<UniqueFd> fd, internal::open_plain_file(*place));
    if (!fd) return {};
    ASSIGN_OR_RETURN(const std::uint64_t size, size_of(fd->get(), place->path));
    objects.push_back({name, size, {}});
    return {};
  }

  Result<Found> find(const ObjectName& name) {
    TRY(store::parse_object_name(name.text));
    Result<Found> found = find_once(name);
    if (found.ok() || found.error().category != Category::kDataLoss) return found;
    // Its name may just have been removed and given anew, between our two looks: look again while nobody can do that.
    ASSIGN_OR_RETURN(const UniqueFd lock, lock_name(name));
    return find_once(name);
  }

  Result<Found> find_once(const ObjectName& name) {
    ASSIGN_OR_RETURN(std::optional<Place> place, tree_.find(name.text));
    if (!place) return missing(name);
    ASSIGN_OR_RETURN(std::optional<UniqueFd> fd, internal::open_plain_file(*place));
    if (!fd) return missing(name);
    ASSIGN_OR_RETURN(ObjectInfo info, read_record(name));
    ASSIGN_OR_RETURN(const std::uint64_t size, size_of(fd->get(), place->path));
    if (size != info.size) return corrupt(name, fmt::format("it has {} bytes instead of {}", size, info.size));
    return Found{*std::move(fd), std::move(info), std::move(place->path)};
  }

  Result<ObjectInfo> read_record(const ObjectName& name) {
    ASSIGN_OR_RETURN(const std::optional<Place> place, tree_.find(record_path(name)));
    if (!place) return corrupt(name, "its checksum record is missing");
    ASSIGN_OR_RETURN(const std::optional<UniqueFd> fd, internal::open_plain_file(*place));
    if (!fd) return corrupt(name, "its checksum record is missing");
    std::string text(kRecordSizeMax, '\0');
    ASSIGN_OR_RETURN(const std::size_t got, read_at(fd->get(), std::as_writable_bytes(std::span(text)), 0, place->path));
    text.resize(got);
    return parse_record(name, text);
  }

  /// Gives `file` its name, after its record is durable. Only one writer of a name is here at a time, over all processes.
  Result<void> publish(TemporaryFile& file, const ObjectInfo& info) {
    ASSIGN_OR_RETURN(const UniqueFd lock, lock_name(info.name));
    ASSIGN_OR_RETURN(const Place place, tree_.make_way(info.name.text));
    const Result<Found> existing = find_once(info.name);
    if (existing.ok()) {
      if (existing->info.size != info.size || existing->info.checksum != info.checksum) return exists(info.name);
      // The writer before us may have failed or died before the name was on disk.
      return internal::sync_entries(place);
    }
    if (existing.error().category != Category::kNotFound) return existing.error();
    TRY(write_record(info));
    if (Result<void> moved = move_into_place(file, place); !moved.ok()) return moved;
    FAILPOINT("object.after_rename_before_sync");
    return internal::sync_entries(place);
  }

  static Result<void> move_into_place(TemporaryFile& file, const Place& place) {
    Result<void> moved = file.move_to(place, true);
    if (moved.ok() || moved.error().category != Category::kAlreadyExists) return moved;
    // A directory of removed objects may stand there; an empty one gives way.
    if (::unlinkat(place.directory.get(), place.name.c_str(), AT_REMOVEDIR) == 0) return file.move_to(place, true);
    return failed_precondition("object.name_conflict",
                               "the name is a part of other objects' names, or something else stands there: " + place.path);
  }

  Result<void> write_record(const ObjectInfo& info) {
    ASSIGN_OR_RETURN(const Place place, tree_.make_way(record_path(info.name)));
    ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::make(tree_, kTemporary));
    const Document record = Document::object({{"size", info.size}, {"checksum", info.checksum}});
    TRY(write_all(file.fd(), to_json(record) + "\n", file.path()));
    TRY(sync_data(file.fd(), file.path()));
    TRY(file.move_to(place, false));
    return internal::sync_entries(place);
  }

  /// Waits until no other process and no other thread publishes or removes a name that shares the lock. The kernel frees the lock of a
  /// process that dies.
  Result<UniqueFd> lock_name(const ObjectName& name) {
    const std::size_t index = xxh3_64(as_bytes(name.text)) % kLockCount;
    ASSIGN_OR_RETURN(const Place place, tree_.make_way(fmt::format("{}/{:02x}", kLocks, index)));
    UniqueFd fd(::openat(place.directory.get(), place.name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.valid()) return system_error(errno, "open", place.path);
    while (::flock(fd.get(), LOCK_EX) != 0) {
      if (errno != EINTR) return system_error(errno, "lock", place.path);
    }
    return fd;
  }

  Tree tree_;
};

}  // namespace

Result<std::unique_ptr<store::ObjectStore>> make_local_object_store(const std::string& root) {
  ASSIGN_OR_RETURN(Tree tree, Tree::open(root));
  auto objects = std::make_unique<LocalObjectStore>(std::move(tree));
  TRY(objects->prepare());
  return std::unique_ptr<store::ObjectStore>(std::move(objects));
}

}  // namespace trainyard::adapters::localfs
