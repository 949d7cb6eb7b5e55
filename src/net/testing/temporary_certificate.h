#pragma once
#include <spawn.h>
#include <sys/wait.h>

#include <string>
#include <vector>

#include "base/file.h"

extern char** environ;  // NOLINT: as spawn needs it

namespace trainyard::net::testing {

/// A self-signed certificate with its key in a directory of its own, made by the openssl program.
class TemporaryCertificate {
 public:
  /// `names`: as in subjectAltName, e.g. "DNS:localhost,IP:127.0.0.1".
  explicit TemporaryCertificate(const std::string& names = "DNS:localhost,IP:127.0.0.1")
      : directory_(make_temporary_directory("trainyard-tls-").value()) {
    make(names);
  }
  ~TemporaryCertificate() { (void)remove_tree(directory_).ok(); }
  TemporaryCertificate(const TemporaryCertificate&) = delete;
  TemporaryCertificate& operator=(const TemporaryCertificate&) = delete;

  std::string certificate() const { return directory_ + "/certificate.pem"; }
  std::string key() const { return directory_ + "/key.pem"; }
  /// Replaces certificate and key in the same files.
  void make(const std::string& names) {
    std::vector<std::string> words{
        "openssl", "req",  "-x509",       "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",  "-keyout",
        key(),     "-out", certificate(), "-days",   "2",  "-subj",    "/CN=trainyard test",      "-addext", "subjectAltName=" + names};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0);
    pid_t child = 0;
    int status = -1;
    const int failure = ::posix_spawnp(&child, "openssl", &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    CHECK(failure == 0, "the openssl program cannot be started");
    ::waitpid(child, &status, 0);
    CHECK(status == 0, "the openssl program made no certificate");
  }

 private:
  std::string directory_;
};

}  // namespace trainyard::net::testing
