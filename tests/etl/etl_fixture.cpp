#include "tests/etl/etl_fixture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/rng.h"

namespace trainyard::tests {
namespace {

std::string program_path() {
  if (const char* directory = std::getenv("TRAINYARD_LIBEXEC")) return std::string(directory) + "/trainyard-etl";
  return "build/release/bin/trainyard-etl";
}

Document last_result(const std::string& events) {
  Document result;
  for (std::size_t at = 0; at < events.size();) {
    const std::size_t end = std::min(events.find('\n', at), events.size());
    const Result<Document> event = parse_json(events.substr(at, end - at));
    EXPECT_TRUE(event.ok()) << events.substr(at, end - at);
    if (event.ok() && event->string_or("event", "").value_or("") == "result") result = (*event)["values"];
    at = end + 1;
  }
  return result;
}

double seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; }

}  // namespace

Result<net::Principal> JobTokens::authenticate(const net::Request& request) {
  constexpr std::string_view kPrefix = "Bearer job-";
  const std::string_view sent = request.headers.get("authorization").value_or("");
  if (!sent.starts_with(kPrefix)) return Error{Category::kUnauthenticated, "auth.invalid", "no token of a job", {}, {}};
  return net::Principal{fmt::format("job:{}/1", sent.substr(kPrefix.size())), "runner"};
}

EtlTest::EtlTest() {
  EXPECT_TRUE(store::migrate(files.database(), "catalog", data::catalog_migrations()).ok());
  api::add_dataset_routes(router, {blocking, catalog, *objects});
  server = net::make_http_server({}, router).value();
}

EtlTest::~EtlTest() {
  server.reset();
  blocking.stop();
  (void)remove_tree(directory).ok();
}

std::string EtlTest::write(const std::string& name, std::string_view text) const {
  EXPECT_TRUE(write_file_atomically(directory + "/" + name, text).ok());
  return directory + "/" + name;
}

std::string EtlTest::object_path(const data::DatasetFile& file) const {
  return objects->local_path(store::parse_object_uri(file.uri).value()).value();
}

std::vector<std::string> EtlTest::left_behind() const {
  std::vector<std::string> left;
  const std::vector<std::string> names = list_directory(directory + "/work").value();
  for (const std::string& name : names) {
    if (name != "spec.json" && name != "token" && name != "events" && name != "stderr") left.push_back(name);
  }
  return left;
}

/// What the server writes at submit: for curate the newest raw version, with the paths of its files.
Document EtlTest::spec(const std::string& kind, int job, Document config) {
  Document document = Document::object({{"job_id", std::to_string(job)},
                                        {"attempt", 1},
                                        {"kind", kind},
                                        {"name", kind},
                                        {"object_root", objects_root},
                                        {"config", std::move(config)}});
  const std::string layer = kind == "ingest" ? "raw" : "curated";
  document.set("outputs", Document::object({{"data", Document::object({{"name", "fashion"}, {"layer", layer}})}}));
  if (kind == "curate") {
    const data::DatasetVersion raw = catalog.get({"fashion", std::nullopt, DatasetLayer::kRaw}).value();
    Document input = data::to_document(raw);
    Document list = Document::array();
    for (const data::DatasetFile& file : raw.draft.files) list.push(encode(file)).set("path", object_path(file));
    input.set("files", std::move(list));
    document.set("inputs", Document::object({{"data", std::move(input)}}));
  }
  return document;
}

int EtlTest::start(const std::string& kind, int job, Document config, const std::map<std::string, std::string>& environment) {
  const std::string work = directory + "/work";
  EXPECT_TRUE(make_directories(work).ok());
  EXPECT_TRUE(write_file_atomically(work + "/spec.json", to_json(spec(kind, job, std::move(config)))).ok());
  EXPECT_TRUE(write_file_atomically(work + "/token", fmt::format("job-{}\n", job)).ok());

  std::map<std::string, std::string> variables{{"TRAINYARD_JOB_ID", std::to_string(job)},
                                               {"TRAINYARD_ATTEMPT", "1"},
                                               {"TRAINYARD_API_URL", fmt::format("http://127.0.0.1:{}", server->port())},
                                               {"TRAINYARD_TOKEN_FILE", work + "/token"},
                                               {"TRAINYARD_SPEC", work + "/spec.json"},
                                               {"TRAINYARD_WORKDIR", work},
                                               {"OMP_NUM_THREADS", "1"}};
  for (const auto& [name, value] : environment) variables[name] = value;
  std::vector<std::string> assignments;
  std::vector<char*> pointers;
  for (const auto& [name, value] : variables) assignments.push_back(name + "=" + value);
  for (std::string& assignment : assignments) pointers.push_back(assignment.data());
  pointers.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const int flags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (work + "/stderr").c_str(), flags, 0600);
  posix_spawn_file_actions_addopen(&actions, 3, (work + "/events").c_str(), flags, 0600);
  std::string program = program_path();
  std::string word = kind;
  char* arguments[] = {program.data(), word.data(), nullptr};
  pid_t process = -1;
  EXPECT_EQ(::posix_spawn(&process, program.c_str(), &actions, nullptr, arguments, pointers.data()), 0) << program;
  posix_spawn_file_actions_destroy(&actions);
  return process;
}

JobExit EtlTest::wait(int process) {
  int status = 0;
  rusage usage{};
  EXPECT_EQ(::wait4(process, &status, 0, &usage), process);
  JobExit exit;
  exit.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  exit.errors = read_file(directory + "/work/stderr").value_or("");
  exit.result = last_result(read_file(directory + "/work/events").value_or(""));
  exit.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  return exit;
}

}  // namespace trainyard::tests
