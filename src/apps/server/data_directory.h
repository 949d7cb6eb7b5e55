#pragma once
#include <string>

#include "base/file.h"

namespace trainyard::apps {

/// What a running server writes for its clients.
struct ServerAddress {
  std::string url;
  std::string token_file;
  std::int64_t pid = 0;
  std::string ca_file = {};  ///< What clients on this machine trust, as PEM: the server's own certificate; empty: no TLS.
};

/// The directory that holds all state of one installation, locked for one server at a time:
///   lock server.json token(0600) ledger.db trainyard.db objects/ logs/ work/ checkpoints/ cache/ run/
class DataDirectory {
 public:
  /// Creates what is missing and takes the lock. Errors: FAILED_PRECONDITION "data.locked" naming the holder's pid, "data.foreign" for a
  /// directory that holds other things, and those of files.
  static Result<DataDirectory> open(const std::string& path);

  const std::string& root() const { return root_; }
  std::string path(std::string_view name) const { return root_ + "/" + std::string(name); }

  /// The port that an earlier server of this directory was given; 0 when none.
  std::uint16_t remembered_port() const;
  Result<void> write_address(const ServerAddress& address) const;
  /// Whether there is room to work: writes and removes a small file. Failpoint: "server.probe_disk". Errors: those of files,
  /// RESOURCE_EXHAUSTED "io.disk_full" first of all.
  Result<void> probe_room() const;

 private:
  DataDirectory(std::string root, UniqueFd lock) : root_(std::move(root)), lock_(std::move(lock)) {}

  std::string root_;
  UniqueFd lock_;
};

/// $XDG_DATA_HOME/trainyard, or ~/.local/share/trainyard.
std::string default_data_directory();

}  // namespace trainyard::apps
