#pragma once
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "adapters/localfs/local_object_store.h"
#include "adapters/sqlite/testing/temporary_database.h"
#include "api/platform/datasets.h"
#include "base/file.h"
#include "data/catalog.h"
#include "net/http_server.h"

namespace trainyard::tests {

/// How a job process ended.
struct JobExit {
  int code = -1;       ///< Exit code; minus the signal's number when one ended it.
  std::string errors;  ///< What it wrote to stderr.
  Document result;     ///< `values` of its last result event; null when there was none.
  double cpu_seconds = 0;

  /// The id of the error that the result event carries.
  std::string error_id() const { return result["error"].string_or("id", "").value_or(""); }
};

/// Lets through who sends "Bearer job-N" as attempt 1 of job N.
class JobTokens final : public net::Authorizer {
 public:
  Result<net::Principal> authenticate(const net::Request& request) override;
};

/// A server with a catalog and an object store, and jobs that the real program runs as processes of their own.
class EtlTest : public ::testing::Test {
 protected:
  EtlTest();
  ~EtlTest() override;

  /// Starts `trainyard-etl KIND` for a job of that number; returns its process id.
  int start(const std::string& kind, int job, Document config, const std::map<std::string, std::string>& environment = {});
  /// Waits for the process.
  JobExit wait(int process);
  JobExit run(const std::string& kind, int job, Document config, const std::map<std::string, std::string>& environment = {}) {
    return wait(start(kind, job, std::move(config), environment));
  }

  std::string write(const std::string& name, std::string_view text) const;
  std::string object_path(const data::DatasetFile& file) const;
  std::size_t published() { return catalog.list().value().size(); }
  /// Files that a job left in its working directory besides its spec and what it wrote to its descriptors.
  std::vector<std::string> left_behind() const;

  std::string directory = make_temporary_directory("trainyard-etl-test-").value();
  std::string objects_root = directory + "/objects";
  SystemClock clock;
  adapters::sqlite::testing::TemporaryDatabase files;
  data::CatalogRepository catalog{files.database(), clock};
  std::unique_ptr<store::ObjectStore> objects = adapters::localfs::make_local_object_store(objects_root).value();
  ThreadExecutor blocking{"blocking"};
  JobTokens tokens;
  net::Router router{tokens};
  std::unique_ptr<net::HttpServer> server;

 private:
  Document spec(const std::string& kind, int job, Document config);
};

}  // namespace trainyard::tests
