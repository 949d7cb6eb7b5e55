#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <map>

#include "adapters/localfs/local_object_store.h"
#include "adapters/openvino/testing/tiny_onnx.h"
#include "base/file.h"
#include "data/pack.h"
#include "net/http_client.h"

namespace trainyard::apps {
namespace {

/// A started trainyard-serve with its events on a pipe and its output in a file.
class Program {
 public:
  Program(const std::string& path, const std::string& workdir, const std::string& spec) {
    int pipe_ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
    events_.reset(pipe_ends[0]);
    UniqueFd writer(pipe_ends[1]);
    std::vector<std::string> variables{"PATH=/usr/bin", "TRAINYARD_JOB_ID=1", "TRAINYARD_ATTEMPT=1", "TRAINYARD_WORKDIR=" + workdir,
                                       "TRAINYARD_SPEC=" + spec};
    std::vector<char*> environment;
    for (std::string& variable : variables) environment.push_back(variable.data());
    environment.push_back(nullptr);
    std::string name = path;
    char* arguments[] = {name.data(), nullptr};
    const std::string output = workdir + "/output";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, writer.get(), 3);
    posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    EXPECT_EQ(::posix_spawn(&pid_, path.c_str(), &actions, nullptr, arguments, environment.data()), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Program() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Reads events until one of the given type came; null when the program ended or 20 s passed without one.
  Document event(std::string_view type) {
    for (;;) {
      for (std::size_t end = pending_.find('\n'); end != std::string::npos; end = pending_.find('\n')) {
        const Result<Document> event = parse_json(pending_.substr(0, end));
        pending_.erase(0, end + 1);
        if (event.ok() && (*event)["event"].as_string().value_or("") == type) return *event;
      }
      pollfd waiting{events_.get(), POLLIN, 0};
      char buffer[4096];
      if (::poll(&waiting, 1, 20'000) <= 0) return {};
      const ssize_t count = ::read(events_.get(), buffer, sizeof(buffer));
      if (count <= 0) return {};
      pending_.append(buffer, static_cast<std::size_t>(count));
    }
  }

  void terminate() { ::kill(pid_, SIGTERM); }
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  UniqueFd events_;
  pid_t pid_ = -1;
  std::string pending_;
};

/// Classes of 2x2 images: the brightest pixel of the first three.
class ServeProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* libexec = std::getenv("TRAINYARD_LIBEXEC");
    program = libexec == nullptr ? "" : std::string(libexec) + "/trainyard-serve";
    if (program.empty() || !file_exists(program))
      GTEST_SKIP() << "NOT RUN: trainyard-serve is not built, or TRAINYARD_LIBEXEC does not name its place";
    directory = make_temporary_directory("serve-program").value();
  }
  void TearDown() override {
    if (directory.empty()) return;
    EXPECT_TRUE(remove_tree(directory).ok());
  }

  void store_model() {
    const std::string model = adapters::openvino::testing::onnx_text({.weights = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, .bias = {0, 0, 0}});
    const auto objects = adapters::localfs::make_local_object_store(directory + "/objects");
    ASSERT_TRUE(objects.ok()) << objects.error().describe();
    store::SpanSource source(as_bytes(model));
    ASSERT_TRUE((*objects)->put_if_absent({"models/tiny.onnx"}, source).ok());
  }

  std::string write_pack() {
    const std::string path = directory + "/test.pack";
    auto writer = data::PackWriter::create(
        path, {.record_bytes = 5, .fields = {{"label", "uint8", {}, 0}, {"pixels", "uint8", {1, 2, 2}, 1}}, .classes = 3, .checksum = ""});
    EXPECT_TRUE(writer.ok());
    for (int row = 0; row < 30; ++row) {
      std::array<std::byte, 5> record{};
      record[0] = static_cast<std::byte>(row % 3);
      record[static_cast<std::size_t>(1 + row % 3)] = std::byte{200};
      EXPECT_TRUE(writer->append(record).ok());
    }
    EXPECT_TRUE(writer->finish().ok());
    return path;
  }

  std::string write_spec(const std::string& kind, Document config, Document inputs = Document::object()) {
    const Document spec = Document::object({{"job_id", "1"},
                                            {"attempt", 1},
                                            {"kind", kind},
                                            {"name", "test"},
                                            {"config", std::move(config)},
                                            {"object_root", directory + "/objects"},
                                            {"inputs", std::move(inputs)},
                                            {"outputs", Document::object()}});
    const std::string path = directory + "/" + kind + ".json";
    EXPECT_TRUE(write_file_atomically(path, to_json(spec)).ok());
    return path;
  }

  std::string output() { return read_file(directory + "/output").value_or(""); }

  std::string program;
  std::string directory;
};

TEST_F(ServeProgramTest, model_is_served_predicted_and_stopped_on_request) {
  store_model();
  const std::string spec =
      write_spec("serve", Document::object({{"model_name", "tiny"}, {"model_uri", "ty://models/tiny.onnx"}, {"token", "secret"}}));
  Program server(program, directory, spec);
  const Document ready = server.event("ready");
  ASSERT_TRUE(ready["url"].is_string()) << output();
  const std::string url = ready["url"].as_string().value();

  const Document file = Document::object(
      {{"uri", "ty://packs/t.pack"}, {"path", write_pack()}, {"size", 1}, {"checksum", "xxh3:0"}, {"role", "pack:test"}, {"rows", 30}});
  const Document input = Document::object({{"name", "d"},
                                           {"layer", "curated"},
                                           {"version", 1},
                                           {"schema", Document::array()},
                                           {"rows", 30},
                                           {"content_hash", "0"},
                                           {"files", Document::array({file})}});
  const Document config =
      Document::object({{"url", url}, {"model_name", "tiny"}, {"token", "secret"}, {"limit", 20}, {"batch_size", 3}, {"connections", 2}});
  Program client(program, directory, write_spec("predict", config, Document::object({{"data", input}})));
  const Document result = client.event("result")["values"];
  EXPECT_EQ(client.wait(), 0) << output();
  EXPECT_EQ(result["rows"].as_int().value_or(0), 20);
  EXPECT_EQ(result["accuracy"].as_double().value_or(0), 1.0);

  const auto http = net::make_http_client(url);
  ASSERT_TRUE(http.ok());
  EXPECT_EQ((*http)->send({.target = "/v2/health/ready", .headers = {}, .body = {}})->status, 200);
  EXPECT_EQ((*http)->send({.target = "/v2/models/tiny", .headers = {}, .body = {}})->status, 401);
  server.terminate();
  EXPECT_EQ(server.wait(), 0) << output();
}

TEST_F(ServeProgramTest, bad_configuration_and_bad_data_have_their_exit_codes) {
  Program missing(program, directory,
                  write_spec("serve", Document::object({{"model_name", "tiny"}, {"model_uri", "ty://models/none.onnx"}})));
  EXPECT_EQ(missing.event("result")["values"]["error"]["id"].as_string().value_or(""), "serve.model_missing");
  EXPECT_EQ(missing.wait(), 64);
  Program unknown(program, directory, write_spec("serve", Document::object({{"model_nam", "tiny"}})));
  EXPECT_EQ(unknown.wait(), 64);
  ASSERT_TRUE(write_file_atomically(directory + "/damaged.onnx", "damaged").ok());
  Program damaged(program, directory,
                  write_spec("serve", Document::object({{"model_name", "tiny"}, {"model_uri", directory + "/damaged.onnx"}})));
  EXPECT_EQ(damaged.wait(), 65) << output();
}

}  // namespace
}  // namespace trainyard::apps
